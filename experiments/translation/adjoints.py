"""How the loss of a translation reaches the states of the encoder."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int, Params
from rnnlab.combinators import Bidirectional, Stack
from rnnlab.combinators.layers import Directions
from rnnlab.data.buckets import pad
from rnnlab.gradients import adjoint_profile
from rnnlab.nn.pooling import last
from rnnlab.training.translation import CodedPair, Model, losses_after
from rnnlab.unroll import unroll

#: Sentences that are measured.
SENTENCES = 64


class Profiles(NamedTuple):
    """Means over sentences of `log10 ‖∂L/∂h‖`, k = 0, 1, … steps before the end of the source.

    Attributes:
        all_ways: of the loss.
        by_the_end: of what reaches a state through the final one only, and not by attention.
        sentences: that have so many steps.
    """

    all_ways: list[float]
    by_the_end: list[float]
    sentences: list[int]


def profiles(model: Model, params: Params, pairs: list[CodedPair]) -> Profiles | None:
    """How far back the loss is felt by the encoder's last layer that reads forward.

    `L` is the mean cross-entropy of the symbols of one translation, `h` the state after a symbol of
    the source. The adjoint is followed from state to state with its exponent apart, from what the
    loss says of each output.

    Returns:
        The profiles; None for a cell whose final state is more than its last output, such as LSTM.
    """
    chosen = [row for row, pair in enumerate(pairs) if len(pair.source)][:SENTENCES]
    if not chosen:
        return None
    steps = [max(len(pairs[row][part]) for row in chosen) for part in (0, 1)]
    batch = pad(pairs, steps, np.array(chosen, np.int32), time_major=False)
    pair, lengths = CodedPair(*batch.values), CodedPair(*batch.lengths)
    pair, lengths = jax.tree.map(jnp.asarray, (pair, lengths))
    found = _measured(model, params, pair, lengths)
    if found is None:
        return None
    return Profiles(*_by_distance(found, np.asarray(lengths.source)))


def _measured(model: Model, params: Params, pair: Any, lengths: Any) -> tuple[Array, Array] | None:
    """`log10 ‖∂L/∂h_t‖ [S, B]` after each symbol, by all ways and by the end alone."""
    module = model.bind(params)
    stack = module.encoder.cell
    assert isinstance(stack, Stack)
    below, top = stack.layers[:-1], stack.layers[-1]
    assert isinstance(top, Bidirectional)
    cell: Any = top.forward
    if len(jax.tree.leaves(cell.initial_state((), jnp.float32))) != 1:
        return None
    weights = module.encoder.params
    xs = jnp.swapaxes(module.source(pair.source), 0, 1)
    states = []
    for layer, own in zip(below, weights, strict=False):
        state, xs = unroll(layer, own, xs, lengths=lengths.source)
        states.append(state)
    both, ys = unroll(top, weights[-1], xs, lengths=lengths.source)
    ys, backward = ys[..., : cell.hidden], ys[..., cell.hidden :]

    def loss(ys: Array, end: Array) -> Array:
        final = (*states, Directions(jax.tree.map(lambda _: end, both.forward), both.backward))
        outputs = jnp.swapaxes(jnp.concatenate([ys, backward], axis=-1), 0, 1)
        memory = module.hand(final, outputs, lengths.source)
        nats, symbols = losses_after(module, memory, pair.target, lengths.target)
        return (nats / symbols.astype(nats.dtype)).sum()

    end = last(jnp.swapaxes(ys, 0, 1), lengths.source)
    d_ys, d_end = jax.grad(loss, argnums=(0, 1))(ys, end)
    at_end = jnp.arange(len(ys), dtype=jnp.int32)[:, None] == lengths.source - 1
    by_the_end = jnp.where(at_end[..., None], d_end, jnp.zeros_like(d_end))

    def profile(cotangents: Array) -> Array:
        measured = adjoint_profile(
            cell, weights[-1]["forward"], xs, loss=cotangents, lengths=lengths.source
        )
        return measured.log10_joint[1:]

    return profile(d_ys + by_the_end), profile(by_the_end)


def _by_distance(
    found: tuple[Array, Array], lengths: Int[np.ndarray, "B"]
) -> tuple[list[float], list[float], list[int]]:
    """Means over the sentences at each distance from their end."""
    everywhere = [np.asarray(one, np.float64) for one in found]
    aligned = [_from_the_end(one, lengths) for one in everywhere]
    count = [int((lengths > k).sum()) for k in range(int(lengths.max()))]
    every, ends = ([float(np.mean(row)) for row in one] for one in aligned)
    return every, ends, count


def _from_the_end(
    values: Float[np.ndarray, "S B"], lengths: Int[np.ndarray, "B"]
) -> list[np.ndarray]:
    """For k = 0, 1, …: the finite values k steps before the end of the sentences that have them."""
    rows = []
    for k in range(int(lengths.max())):
        (has,) = np.nonzero(lengths > k)
        row = values[lengths[has] - 1 - k, has]
        rows.append(row[np.isfinite(row)])
    return rows
