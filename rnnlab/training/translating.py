"""Translating with a trained network: sentences of any lengths in batches, their order kept."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int, Key, Params
from rnnlab.data.coded_lines import LineCoder
from rnnlab.data.tokens import END_CODE, PAD_CODE, START_CODE, UNKNOWN
from rnnlab.data.units import Words
from rnnlab.nn.beam import beam_search
from rnnlab.nn.decoding import Choice, limits_of, replace_unknown, sample
from rnnlab.nn.encoder_decoder import EncoderDecoder
from rnnlab.nn.functional import Functional

#: Sentences of a batch, and source symbols of one at most, which bound the memory.
READ, SYMBOLS = 64, 4096
#: The longest translation of a source of S symbols has `FACTOR · S + MORE`, and never above MOST.
FACTOR, MORE, MOST = 1.5, 10, 512


class Translation(NamedTuple):
    """What a network wrote.

    Attributes:
        codes: of its symbols, `[T]`.
        score: of beam search; with one beam the same of what greedy decoding writes.
        log_probability: in nats, that of the end symbol included.
    """

    codes: Int[np.ndarray, "T"]
    score: float
    log_probability: float


def translate(
    model: Functional[EncoderDecoder],
    params: Params,
    sources: Sequence[Int[np.ndarray, "S"]],
    beams: int = 5,
    penalty: float = 1.0,
) -> list[Translation]:
    """A translation of each source; it does not depend on the others.

    Args:
        model: the model.
        params: its parameters.
        sources: codes of each sentence, which may be empty.
        beams: of beam search; 1 is greedy.
        penalty: of the length, see `rnnlab.nn.beam`.
    """

    def write(most: int, codes: Array, lengths: Array, limits: Array) -> Any:
        return _search(model, beams, penalty, most, params, codes, lengths, limits)

    return _written(sources, write)


def draw(
    model: Functional[EncoderDecoder],
    params: Params,
    sources: Sequence[Int[np.ndarray, "S"]],
    choice: Choice,
    seed: int = 0,
) -> list[Translation]:
    """A translation of each source, whose symbols are drawn; it does not depend on the others.

    The same source has the same translation. Its score is its log-probability.

    Args:
        model: the model.
        params: its parameters.
        sources: codes of each sentence, which may be empty.
        choice: how a symbol is drawn.
        seed: of what is drawn.
    """

    def write(most: int, codes: Array, lengths: Array, limits: Array) -> Any:
        rows = zip(np.asarray(codes), np.asarray(lengths), strict=True)
        names = [zlib.crc32(row[:length].tobytes()) for row, length in rows]
        names = np.array(names, np.uint32)
        return _draw(
            model, choice, most, params, codes, lengths, limits, names, jax.random.key(seed)
        )

    return _written(sources, write)


def _written(sources: Sequence[np.ndarray], write: Callable[..., Any]) -> list[Translation]:
    """What is written for each source, batch after batch.

    Args:
        sources: codes of each.
        write: of the longest limit, codes, lengths and limits of a batch, makes symbols, lengths,
            scores and log-probabilities.
    """
    found: list[Any] = [None] * len(sources)
    for places, codes, lengths in _batches(sources):
        most = int(limits_of(codes.shape[1], FACTOR, MORE, MOST))
        limits = limits_of(lengths, FACTOR, MORE, most)
        rows = zip(*jax.device_get(write(most, codes, lengths, limits)), strict=True)
        for place, (symbols, length, score, nats) in zip(places, rows, strict=False):
            found[place] = Translation(symbols[:length], float(score), float(nats))
    return found


def attention_of(
    model: Functional[EncoderDecoder],
    params: Params,
    source: Int[np.ndarray, "S"],
    target: Int[np.ndarray, "T"],
) -> Float[np.ndarray, "T+1 S"] | None:
    """Where a network looked in the source for each symbol that it wrote, and for the end.

    None for a network without attention.
    """
    before = np.concatenate([np.array([START_CODE], np.int32), target])
    weights = _weights(model, params, _filled(source), len(source), _filled(before))
    return None if weights is None else np.asarray(weights)[: len(before), : len(source)]


def _batches(
    sources: Sequence[np.ndarray],
) -> Iterator[tuple[list[int], np.ndarray, np.ndarray]]:
    """Places, codes `[B, S]` and lengths `[B]` of sentences of similar lengths.

    Both B and S are powers of two, so that few programs are compiled; empty rows fill up a batch.
    """
    order = sorted(range(len(sources)), key=lambda place: len(sources[place]))
    while order:
        steps = _room(len(sources[order[min(READ, len(order)) - 1]]))
        rows = max(1, min(READ, SYMBOLS // steps))
        places, order = order[:rows], order[rows:]
        rows = min(rows, _power_of_two(len(places)))
        codes, lengths = np.zeros((rows, steps), np.int32), np.zeros(rows, np.int32)
        for row, place in enumerate(places):
            lengths[row] = len(sources[place])
            codes[row, : lengths[row]] = sources[place]
        yield places, codes, lengths


def _power_of_two(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()


def _room(count: int) -> int:
    return max(16, _power_of_two(count))


def _filled(codes: np.ndarray) -> np.ndarray:
    return np.pad(np.asarray(codes, np.int32), (0, _room(len(codes)) - len(codes)))


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _search(
    model: Functional[EncoderDecoder],
    beams: int,
    penalty: float,
    most: int,
    params: Params,
    codes: Array,
    lengths: Array,
    limits: Array,
) -> Any:
    module = model.bind(params)
    memory = module.encode(codes, lengths)
    found = beam_search(
        partial(module.step, memory),
        module.begin(memory),
        limits,
        most,
        beams=beams,
        start=START_CODE,
        end=END_CODE,
        penalty=penalty,
    )
    return tuple(leaf[:, 0] for leaf in found)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _draw(
    model: Functional[EncoderDecoder],
    choice: Choice,
    most: int,
    params: Params,
    codes: Array,
    lengths: Array,
    limits: Array,
    names: Array,
    key: Key,
) -> Any:
    module = model.bind(params)
    memory = module.encode(codes, lengths)
    keys = jax.vmap(partial(jax.random.fold_in, key))(names)
    written = sample(
        partial(module.step, memory),
        module.begin(memory),
        limits,
        most,
        keys,
        start=START_CODE,
        end=END_CODE,
        choice=choice,
    )
    return *written, written.log_probability


@partial(jax.jit, static_argnums=0)
def _weights(
    model: Functional[EncoderDecoder], params: Params, source: Array, length: Any, before: Array
) -> Array | None:
    module = model.bind(params)
    memory = module.encode(source[None], jnp.asarray(length, jnp.int32)[None])
    _, weights = module.readouts(memory, before[None])
    return None if weights is None else weights[0]


class Line(NamedTuple):
    """A line and its translation.

    Attributes:
        line: what was read.
        text: what was written.
        codes: of the symbols that were written, `[T]`.
        score: of beam search.
        log_probability: of what was written, in nats.
    """

    line: str
    text: str
    codes: Int[np.ndarray, "T"]
    score: float
    log_probability: float


@dataclass(frozen=True)
class Coders:
    """The units and codes of the language that is read and of the one that is written."""

    source: LineCoder
    target: LineCoder


def translate_lines(
    model: Functional[EncoderDecoder],
    params: Params,
    coders: Coders,
    lines: Sequence[str],
    beams: int = 5,
    penalty: float = 1.0,
    *,
    choice: Choice | None = None,
    seed: int = 0,
) -> list[Line]:
    """The translation of each line.

    White space is read as one space, and at the ends as none. A line without any unit has an empty
    translation. A network of words with attention writes for an unknown word the word of the source
    that it attended to most.

    Args:
        model: the model.
        params: its parameters.
        coders: of both languages.
        lines: sentences.
        beams: as in `translate`.
        penalty: as in `translate`.
        choice: draws the symbols instead, as `draw` does.
        seed: of what is drawn.
    """
    plain = [spaced(line) for line in lines]
    sources = [coders.source.encode(line) for line in plain]
    full = [place for place, codes in enumerate(sources) if len(codes)]
    read = [sources[place] for place in full]
    if choice is None:
        found = translate(model, params, read, beams, penalty)
    else:
        found = draw(model, params, read, choice, seed)
    written = [Line(line, "", np.zeros(0, np.int32), 0.0, 0.0) for line in lines]
    for place, (codes, score, nats) in zip(full, found, strict=True):
        tokens = coders.target.vocabulary.decode(codes)
        if coders.target.units.kind == Words.kind and UNKNOWN in tokens:
            weights = attention_of(model, params, sources[place], codes)
            if weights is not None:
                # An early network may write what stands for no word, which is no token.
                words = ~np.isin(codes, (PAD_CODE, START_CODE))
                source = coders.source.tokens(plain[place])
                tokens = replace_unknown(tokens, source, weights[:-1][words], UNKNOWN)
        text = coders.target.units.decode(tokens)
        written[place] = Line(lines[place], text, codes, score, nats)
    return written


def spaced(line: str) -> str:
    """A line with one space for all white space between words, and none at its ends."""
    return " ".join(line.split())
