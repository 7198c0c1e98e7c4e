"""Sums of whole numbers as sequences of characters: `12+345` is read, `357` is written.

This is the task of W. Zaremba and I. Sutskever, "Learning to execute" (2014), in the form of the
example of Keras. Sums to train on are drawn on the device, anew for each update. Which ones
validate and test is decided by a hash of the two numbers, whatever their order: none of those is
ever trained on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Bool, Int, Key
from rnnlab.data.tokens import END_CODE, PAD_CODE, SPECIAL, TokenVocabulary
from rnnlab.errors import UsageError

VOCABULARY = TokenVocabulary((*SPECIAL, *"0123456789+"))
ZERO, PLUS = VOCABULARY.encode("0+").tolist()
#: Digits of a number, at most: the sum of two such numbers is an int32.
MOST_DIGITS = 8
#: Of 20 sums one validates and one tests.
SHARES, VALIDATION, TEST = 20, 0, 1
#: Candidates for each sum of a training batch; where all are held out, the row is empty.
CANDIDATES = 4
#: Pairs that are drawn at a time where held-out ones are looked for.
DRAWN = 1 << 17


class Numbers(NamedTuple):
    """The two numbers of each sum.

    Attributes:
        first: int32 `[N]`.
        second: int32 `[N]`.
    """

    first: Any
    second: Any


class Sums(NamedTuple):
    """Sums as codes of `VOCABULARY`.

    Attributes:
        source: what is read, int32 `[N, 2 digits + 1]`, `<pad>` past the end.
        source_lengths: its characters, int32 `[N]`.
        target: the answer and `</s>`, int32 `[N, digits + 2]`, `<pad>` past the end.
        target_lengths: its characters with `</s>`, int32 `[N]`; 0 in an empty row.
    """

    source: Any
    source_lengths: Any
    target: Any
    target_lengths: Any


def share(numbers: Numbers) -> Int[Array, "N"]:
    """Which of the SHARES equal parts of all sums each belongs to; the order makes no difference.

    The hash is `lowbias32` of Wellons (2018) of each number in turn.
    """
    first, second = (jnp.asarray(part).astype(jnp.uint32) for part in numbers)
    mixed = _mix(_mix(jnp.minimum(first, second)) ^ jnp.maximum(first, second))
    return (mixed % jnp.uint32(SHARES)).astype(jnp.int32)


def _mix(x: Array) -> Array:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> jnp.uint32(shift))) * jnp.uint32(factor)
    return x ^ (x >> jnp.uint32(16))


def held_out(numbers: Numbers) -> Bool[Array, "N"]:
    """Whether a sum validates or tests, and so must not train."""
    part = share(numbers)
    return (part == VALIDATION) | (part == TEST)


def draw(key: Key, count: int, digits: int) -> Numbers:
    """Independent pairs of numbers; each has 1 to `digits` digits, equally likely."""

    def one(key: Key) -> Array:
        key_size, key_value = jax.random.split(key)
        size = jax.random.randint(key_size, (count,), 0, digits, jnp.int32)
        powers = jnp.asarray(10 ** np.arange(digits + 1), jnp.int32)
        low = jnp.where(size == 0, 0, powers[size])
        return jax.random.randint(key_value, (count,), low, powers[size + 1], jnp.int32)

    return Numbers(*map(one, jax.random.split(key)))


def training_batch(key: Key, batch: int, digits: int, reverse: bool) -> Sums:
    """Sums to train on, none of them held out."""
    drawn = draw(key, batch * CANDIDATES, digits)
    candidates = Numbers(*(part.reshape(CANDIDATES, batch) for part in drawn))
    allowed = ~held_out(candidates)
    chosen = jnp.argmax(allowed, axis=0)[None].astype(jnp.int32)
    numbers = Numbers(*(jnp.take_along_axis(p, chosen, axis=0)[0] for p in candidates))
    sums = written(numbers, digits, reverse)
    return sums._replace(target_lengths=jnp.where(allowed.any(axis=0), sums.target_lengths, 0))


def held_out_numbers(part: int, count: int, digits: int, seed: int = 0) -> Numbers:
    """Up to `count` different pairs of VALIDATION or TEST, as often of each size as in training.

    There are fewer where numbers of so few digits have no more: pairs are drawn until none is new.
    """
    found: dict[tuple[int, int], None] = {}
    before = -1
    while before < len(found) < count:
        before, key = len(found), jax.random.fold_in(jax.random.key(seed), len(found))
        drawn, parts = _drawn_with_shares(key, digits)
        kept = np.asarray(parts) == part
        first, second = (np.asarray(number)[kept].tolist() for number in drawn)
        found |= dict.fromkeys(zip(first, second, strict=True))
    pairs = np.array(list(found)[:count], np.int32).reshape(-1, 2)
    return Numbers(pairs[:, 0], pairs[:, 1])


@partial(jax.jit, static_argnums=1)
def _drawn_with_shares(key: Key, digits: int) -> tuple[Numbers, Array]:
    drawn = draw(key, DRAWN, digits)
    return drawn, share(drawn)


def written(numbers: Numbers, digits: int, reverse: bool) -> Sums:
    """The sums as codes.

    Args:
        numbers: of at most `digits` digits each.
        digits: of the longest numbers.
        reverse: whether what is read is turned around, `543+21` for `12+345`: the digits that are
            needed first were read last (Sutskever, Vinyals and Le 2014).
    """
    first, second = (jnp.asarray(number, jnp.int32) for number in numbers)
    size, second_size = sizes(first), sizes(second)
    length = size + 1 + second_size
    places = jnp.arange(2 * digits + 1, dtype=jnp.int32)
    if reverse:
        places = length[:, None] - 1 - places[None]
    else:
        places = jnp.broadcast_to(places, (len(length), len(places)))
    plus = size[:, None]
    source = jnp.where(
        places < plus, _digit(first, size, places), _digit(second, second_size, places - plus - 1)
    )
    source = jnp.where(places == plus, PLUS, source)
    source = jnp.where((places >= 0) & (places < length[:, None]), source, PAD_CODE)
    total = first + second
    total_size = sizes(total)
    places = jnp.arange(digits + 2, dtype=jnp.int32)[None]
    target = jnp.where(places == total_size[:, None], END_CODE, PAD_CODE)
    target = jnp.where(
        places < total_size[:, None], _digit(total, total_size, places), target
    ).astype(jnp.int32)
    return Sums(source.astype(jnp.int32), length, target, total_size + 1)


def sizes(numbers: Int[Array, "N"]) -> Int[Array, "N"]:
    """The number of digits of each number."""
    powers = jnp.asarray(10 ** np.arange(1, MOST_DIGITS + 1), jnp.int32)
    return 1 + (jnp.asarray(numbers)[:, None] >= powers).sum(axis=1, dtype=jnp.int32)


def _digit(
    numbers: Int[Array, "N"], size: Int[Array, "N"], places: Int[Array, "N places"]
) -> Int[Array, "N places"]:
    """The codes of digits, by their place from the left; of no meaning beyond the number."""
    powers = jnp.asarray(10 ** np.arange(MOST_DIGITS + 2), jnp.int32)
    power = powers[jnp.clip(size[:, None] - 1 - places, 0, MOST_DIGITS)]
    return numbers[:, None] // power % 10 + ZERO


def read_sums(lines: Sequence[str], digits: int) -> Numbers:
    """The numbers of lines such as `12+345`.

    Raises:
        UsageError: a line that is no sum, or a number with more digits.
    """
    numbers = []
    for line in lines:
        found = re.fullmatch(r"\s*([0-9]+)\s*\+\s*([0-9]+)\s*", line)
        if not found:
            raise UsageError(f"{line[:40]!r} is no sum of two whole numbers, such as 12+345")
        pair = [number.lstrip("0") or "0" for number in found.groups()]
        if max(map(len, pair)) > digits:
            longest = max(pair, key=len)
            raise UsageError(
                f"{longest[:40]} has {len(longest)} digits; the model adds numbers of up to "
                f"{digits}"
            )
        numbers.append(tuple(map(int, pair)))
    pairs = np.array(numbers, np.int32).reshape(-1, 2)
    return Numbers(pairs[:, 0], pairs[:, 1])
