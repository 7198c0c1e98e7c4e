"""How the loss of a translation reaches the states of the encoder."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Input, Int, Key, Output, Params, State
from rnnlab.combinators import Bidirectional, Stack
from rnnlab.combinators.layers import Directions
from rnnlab.data.buckets import pad
from rnnlab.gradients import adjoint_profile
from rnnlab.gradients.parts import joint
from rnnlab.layer import Cell
from rnnlab.training.translation import CodedPair, Model, losses_after
from rnnlab.unroll import unroll

#: Sentences that are measured; distances that fewer than so many of them have are not drawn.
SENTENCES, FEWEST = 64, 8


class Profiles(NamedTuple):
    """Means over sentences of `log10 ‖∂L/∂s‖`, k = 0, 1, … steps before the end of the source.

    The state s is h, and of a cell with more all of it together, as (h, c) of LSTM.

    Attributes:
        all_ways: of the loss.
        by_the_end: of what reaches a state through the final one only, and not by attention.
        sentences: that have so many steps.
    """

    all_ways: list[float]
    by_the_end: list[float]
    sentences: list[int]

    @property
    def reach(self) -> int:
        """How many distances enough sentences have."""
        return sum(n >= min(FEWEST, max(self.sentences)) for n in self.sentences)


@dataclasses.dataclass(frozen=True)
class _WithState:
    """A cell whose output is followed by the state that it leaves, for losses that read both."""

    cell: Cell

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Parameters of the cell."""
        return self.cell.init(key, features_in, dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The cell's initial state."""
        return self.cell.initial_state(batch_shape, dtype)

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Output]:
        """The step of the cell."""
        after, y = self.cell.step(params, x, state)
        return after, joint([y, *jax.tree.leaves(after)])


def profiles(model: Model, params: Params, pairs: list[CodedPair]) -> Profiles | None:
    """How far back the loss is felt by the encoder's last layer that reads forward.

    `L` is the mean cross-entropy of the symbols of one translation, `s` the state after a symbol of
    the source. The adjoint is followed from state to state with its exponent apart, from what the
    loss says of each output and of the final state.

    Returns:
        The profiles; None where no sentence has a symbol.
    """
    chosen = [row for row, pair in enumerate(pairs) if len(pair.source)][:SENTENCES]
    if not chosen:
        return None
    steps = [max(len(pairs[row][part]) for row in chosen) for part in (0, 1)]
    batch = pad(pairs, steps, np.array(chosen, np.int32), time_major=False)
    pair, lengths = CodedPair(*batch.values), CodedPair(*batch.lengths)
    pair, lengths = jax.tree.map(jnp.asarray, (pair, lengths))
    found = _measured(model, params, pair, lengths)
    return Profiles(*_by_distance(found, np.asarray(lengths.source)))


def _measured(model: Model, params: Params, pair: Any, lengths: Any) -> tuple[Array, Array]:
    """`log10 ‖∂L/∂s_t‖ [S, B]` after each symbol, by all ways and by the end alone."""
    module = model.bind(params)
    stack = module.encoder.cell
    assert isinstance(stack, Stack)
    below, top = stack.layers[:-1], stack.layers[-1]
    assert isinstance(top, Bidirectional)
    cell: Any = top.forward
    weights = module.encoder.params
    xs = jnp.swapaxes(module.source(pair.source), 0, 1)
    states = []
    for layer, own in zip(below, weights, strict=False):
        state, xs = unroll(layer, own, xs, lengths=lengths.source)
        states.append(state)
    both, ys = unroll(top, weights[-1], xs, lengths=lengths.source)
    ys, backward = ys[..., : cell.hidden], ys[..., cell.hidden :]

    def loss(ys: Array, end: State) -> Array:
        final = (*states, Directions(end, both.backward))
        outputs = jnp.swapaxes(jnp.concatenate([ys, backward], axis=-1), 0, 1)
        memory = module.hand(final, outputs, lengths.source)
        nats, symbols, _ = losses_after(module, memory, pair.target, lengths.target)
        return (nats / symbols.astype(nats.dtype)).sum()

    d_ys, d_end = jax.grad(loss, argnums=(0, 1))(ys, both.forward)
    d_end = joint(jax.tree.leaves(d_end))
    at_end = jnp.arange(len(ys), dtype=jnp.int32)[:, None] == lengths.source - 1
    by_the_end = jnp.where(at_end[..., None], d_end, jnp.zeros_like(d_end))

    def profile(d_ys: Array) -> Array:
        cotangents = jnp.concatenate([d_ys, by_the_end], axis=-1)
        seen = _WithState(cell)
        return adjoint_profile(
            seen, weights[-1]["forward"], xs, loss=cotangents, lengths=lengths.source
        ).log10_joint[1:]

    return profile(d_ys), profile(jnp.zeros_like(d_ys))


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
