"""Writing one symbol after the other: the likeliest one, or one drawn at random.

A decoder is `step(state, symbols [B]) -> (state, logits [B, V])`, with a state of leaves
`[B, ...]`. All functions are pure and compile as part of the program around them; they stop as soon
as all rows have ended. `rnnlab.nn.beam` looks further ahead.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int, Key, State
from rnnlab.errors import UsageError

#: `(state, symbols)` to the state after reading them and the logits of the next ones.
Step = Callable[[State, Array], tuple[State, Array]]
#: What fills up the rows behind their ends.
PAD = 0
#: Up to it, logits divided by the temperature may leave the floating type.
COLD = 1e-6
#: Above it all symbols are as likely as at it, and its reciprocal is a number of float32.
HOT = 1e30


@dataclasses.dataclass(frozen=True)
class Choice:
    """How a symbol is drawn: `p ∝ exp(logit / temperature)` among the likeliest ones.

    Attributes:
        temperature: below 1 likely symbols become likelier still; 0 takes the likeliest.
        top_k: how many of the likeliest symbols are drawn from; 0 for all. Symbols as likely as the
            last of them are drawn from too.
        top_p: of the likeliest of these, as many as have this probability together are drawn from,
            at least one; 1 for all (A. Holtzman et al., "The curious case of neural text
            degeneration", 2020).

    Raises:
        UsageError: a number out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        """Checks all three."""
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise UsageError(f"temperature={self.temperature}: must be at least 0, and finite")
        if self.top_k < 0:
            raise UsageError(f"top_k={self.top_k}: must be at least 0, which takes all symbols")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p={self.top_p}: must be above 0 and at most 1")

    def __call__(self, key: Key, logits: Float[Array, "*B V"]) -> Int[Array, "*B"]:
        """Symbols `[*B]`, int32, from logits `[*B, V]`."""
        if self.temperature == 0:
            return jnp.argmax(logits, axis=-1).astype(jnp.int32)
        logits = self._sharpened(likeliest(logits, self.top_k))
        return jax.random.categorical(key, most_probable(logits, self.top_p)).astype(jnp.int32)

    def _sharpened(self, logits: Float[Array, "*B V"]) -> Float[Array, "*B V"]:
        """The logits divided by the temperature, up to a constant."""
        limits = jnp.finfo(logits.dtype)
        least = float(limits.tiny)
        temperature = min(max(self.temperature, least), HOT)
        if temperature <= max(COLD, least):  # the largest becomes 0, the others perhaps -inf
            logits = logits - jnp.max(logits, axis=-1, keepdims=True)
        return logits / temperature


#: Draws every symbol with the probability that the logits give it.
PLAIN = Choice()


def likeliest(logits: Float[Array, "... V"], top_k: int) -> Float[Array, "... V"]:
    """The logits with -inf for all but the `top_k` likeliest symbols; 0 keeps all."""
    if not 0 < top_k < logits.shape[-1]:
        return logits
    least = jax.lax.top_k(logits, top_k)[0][..., -1:]
    return jnp.where(logits < least, -jnp.inf, logits)


def most_probable(logits: Float[Array, "... V"], top_p: float) -> Float[Array, "... V"]:
    """The logits with -inf for all but the likeliest symbols that have `top_p` together."""
    if top_p == 1:
        return logits
    ordered = -jnp.sort(-logits, axis=-1)
    share = jax.nn.softmax(ordered, axis=-1)
    keep = jnp.cumsum(share, axis=-1) - share < top_p  # those before have less
    least = jnp.min(jnp.where(keep, ordered, jnp.inf), axis=-1, keepdims=True)
    return jnp.where(logits < least, -jnp.inf, logits)


class Written(NamedTuple):
    """Sequences that a decoder wrote.

    Attributes:
      symbols: codes, without the end symbol and 0 behind it, int32 `[B, L]`.
      lengths: symbols of each, without the end symbol, int32 `[B]`.
      log_probability: of the whole sequence, in nats, that of the end symbol included, `[B]`.
    """

    symbols: Int[Array, "B L"]
    lengths: Int[Array, "B"]
    log_probability: Float[Array, "B"]


def limits_of(lengths: Any, factor: float, more: int, most: int) -> Any:
    """The longest that is written for sources of some lengths: `factor · length + more`.

    It is `most` at most, the size of the arrays that decoding writes to.
    """
    module = jnp if isinstance(lengths, jax.Array) else np
    scaled = module.ceil(factor * module.asarray(lengths).astype("float32"))
    return module.minimum(scaled.astype("int32") + module.int32(more), module.int32(most))


def greedy(
    step: Step, state: State, limits: Int[Array, "B"], most: int, *, start: int, end: int
) -> Written:
    """Writes the likeliest symbol at every step.

    Args:
      step: the decoder.
      state: before its first step.
      limits: symbols of each row at most, as `limits_of` finds.
      most: the largest of them, L.
      start: code that is read first.
      end: code that ends a row.
    """
    choose = lambda logits, place: jnp.argmax(logits, axis=-1).astype(jnp.int32)  # noqa: E731
    return _write(step, state, limits, most, choose, start, end)


def sample(
    step: Step,
    state: State,
    limits: Int[Array, "B"],
    most: int,
    key: Key,
    *,
    start: int,
    end: int,
    choice: Choice = PLAIN,
) -> Written:
    """Draws every symbol.

    Args:
      step: the decoder.
      state: before its first step.
      limits: symbols of each row at most, as `limits_of` finds.
      most: the largest of them, L.
      key: of what is drawn; `[B]` draws each row with a key of its own, whatever rows there are.
      start: code that is read first.
      end: code that ends a row.
      choice: how a symbol is drawn.

    Returns:
      The rows; `log_probability` is that of the decoder, before temperature and choice.
    """

    def choose(logits: Array, place: Array) -> Array:
        if not key.ndim:
            return choice(jax.random.fold_in(key, place), logits)
        keys = jax.vmap(lambda one: jax.random.fold_in(one, place))(key)
        return jax.vmap(choice)(keys, logits)

    return _write(step, state, limits, most, choose, start, end)


def _write(
    step: Step,
    state: State,
    limits: Array,
    most: int,
    choose: Callable[[Array, Array], Array],
    start: int,
    end: int,
) -> Written:
    limits = jnp.minimum(jnp.asarray(limits, jnp.int32), most)
    rows = len(limits)
    dtype = jax.eval_shape(step, state, jnp.full(rows, start, jnp.int32))[1].dtype

    def going(carry: Any) -> Array:
        return (carry[0] < most) & jnp.any(~carry[-1])

    def body(carry: Any) -> Any:
        place, state, last, written, ended = carry
        state, logits = step(state, last)
        symbols = choose(logits, place)
        nats = jax.nn.log_softmax(logits)
        nats = jnp.take_along_axis(nats, symbols[:, None], axis=-1)[:, 0]
        total = written.log_probability + jnp.where(ended, jnp.zeros_like(nats), nats)
        here = ~ended & (symbols != end)
        kept = jnp.where(here, symbols, PAD)
        lengths = written.lengths + here.astype(jnp.int32)
        written = Written(written.symbols.at[:, place].set(kept), lengths, total)
        ended = ended | (symbols == end) | (lengths >= limits)
        return place + jnp.int32(1), state, symbols, written, ended

    nothing = Written(
        jnp.full((rows, most), PAD, jnp.int32), jnp.zeros(rows, jnp.int32), jnp.zeros(rows, dtype)
    )
    carry = jnp.int32(0), state, jnp.full(rows, start, jnp.int32), nothing, limits <= 0
    return jax.lax.while_loop(going, body, carry)[3]


def replace_unknown(
    written: list[str],
    source: list[str],
    weights: Float[np.ndarray, "T S"],
    unknown: str = "<unk>",
) -> list[str]:
    """What was written, with the most attended word of the source for each unknown one.

    Source: M.-T. Luong et al., "Addressing the rare word problem in neural machine translation"
    (2015), whose dictionary is left out: names and numbers are the same in many languages.

    Args:
      written: words.
      source: words that were read; without any, unknown words stay.
      weights: of the attention, at least as many rows and columns as words.
      unknown: how the unknown word is spelled.
    """
    if not source:
        return list(written)
    places = np.asarray(weights)[: len(written), : len(source)].argmax(axis=-1).tolist()
    return [
        source[place] if word == unknown else word
        for word, place in zip(written, places, strict=True)
    ]
