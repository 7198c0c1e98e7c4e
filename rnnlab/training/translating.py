"""Translating with a trained network: sentences of any lengths in batches, their order kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int, Params
from rnnlab.data.coded_lines import LineCoder
from rnnlab.data.tokens import END_CODE, START_CODE, UNKNOWN
from rnnlab.data.units import Words
from rnnlab.nn.beam import Hypotheses, beam_search
from rnnlab.nn.decoding import limits_of, replace_unknown
from rnnlab.nn.encoder_decoder import Decoder, EncoderDecoder, Memory
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
    found: list[Any] = [None] * len(sources)
    for places, codes, lengths in _batches(sources):
        most = int(limits_of(codes.shape[1], FACTOR, MORE, MOST))
        limits = limits_of(lengths, FACTOR, MORE, most)
        best = jax.device_get(_search(model, beams, penalty, most, params, codes, lengths, limits))
        for row, place in enumerate(places):
            symbols, length, score, nats = (leaf[row, 0] for leaf in best)
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
    return searched(module, module.encode(codes, lengths), limits, most, beams, penalty)


def searched(
    module: Decoder, memory: Memory, limits: Array, most: int, beams: int, penalty: float
) -> Hypotheses:
    """The best sequences that a decoder finds for what it got; arguments as of `beam_search`."""
    return beam_search(
        partial(module.step, memory),
        module.begin(memory),
        limits,
        most,
        beams=beams,
        start=START_CODE,
        end=END_CODE,
        penalty=penalty,
    )


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
        score: of beam search.
        log_probability: of what was written, in nats.
    """

    line: str
    text: str
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
) -> list[Line]:
    """The translation of each line; further arguments as in `translate`.

    A line without any unit has an empty translation. A network of words with attention writes for
    an unknown word the word of the source that it attended to most.
    """
    sources = [coders.source.encode(line) for line in lines]
    full = [place for place, codes in enumerate(sources) if len(codes)]
    found = translate(model, params, [sources[place] for place in full], beams, penalty)
    written = [Line(line, "", 0.0, 0.0) for line in lines]
    for place, (codes, score, nats) in zip(full, found, strict=True):
        tokens = coders.target.vocabulary.decode(codes)
        if coders.target.units.kind == Words.kind and UNKNOWN in tokens:
            weights = attention_of(model, params, sources[place], codes)
            if weights is not None:
                read = coders.source.tokens(lines[place])
                tokens = replace_unknown(tokens, read, weights, UNKNOWN)
        text = coders.target.units.decode(tokens)
        written[place] = Line(lines[place], text, score, nats)
    return written
