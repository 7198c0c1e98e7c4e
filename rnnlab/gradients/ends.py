"""Sequences of different lengths in one batch, padded on the right.

A measurement goes through all steps of all sequences. So that a sequence ends at its own length,
its cell is wrapped: one more input says at each step whether the sequence goes on. Past the end the
state is frozen, the output is zero, and what the padding holds never matters.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Input, Inputs, Key, Output, Params, State
from rnnlab.layer import Cell
from rnnlab.unroll import check_lengths


@dataclasses.dataclass(frozen=True)
class Ended:
    """A cell that stands still where its last input is zero.

    Attributes:
      cell: the cell that reads the other inputs.
    """

    cell: Cell

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """The cell's parameters."""
        return self.cell.init(key, features_in - 1, dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The cell's initial state."""
        return self.cell.initial_state(batch_shape, dtype)

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Output]:
        """The cell's step, or the state as it was and no output."""
        goes_on = x[..., -1:] > 0
        after, y = self.cell.step(params, x[..., :-1], state)
        after = jax.tree.map(lambda a, b: jnp.where(goes_on, a, b), after, state)
        return after, jnp.where(goes_on, y, jnp.zeros_like(y))


def blank_padding(xs: Inputs, lengths: ArrayLike) -> tuple[Inputs, Array]:
    """Inputs with zeros past the end, and which steps `[T, *batch]` belong to a sequence.

    Raises:
      UsageError: lengths that are no integers `[*batch]` within 0..T.
    """
    known = check_lengths(lengths, xs.shape[0], xs.shape[1:-1])
    time = jnp.arange(xs.shape[0], dtype=jnp.int32)
    valid = time.reshape(-1, *(1,) * (xs.ndim - 2)) < known
    return jnp.where(valid[..., None], xs, jnp.zeros_like(xs)), valid


def with_flags(xs: Inputs, valid: Array) -> Inputs:
    """Inputs as `Ended` reads them, `[T, *batch, D + 1]`."""
    return jnp.concatenate([xs, valid[..., None].astype(xs.dtype)], axis=-1)


def last_steps(valid: Array) -> Array:
    """Which step `[T, *batch]` is the last of its sequence."""
    after = jnp.concatenate([valid[1:], jnp.zeros_like(valid[:1])])
    return valid & ~after
