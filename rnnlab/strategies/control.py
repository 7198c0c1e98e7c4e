"""Which steps count and where sequences start: the part of the contract every strategy shares."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Flags, Output, State
from rnnlab.layer import Cell


class Control(NamedTuple):
    """Flags `[T, *batch]`, or None where every step is plain.

    Attributes:
      valid: the step lies within its sequence; elsewhere the state is frozen and the output zero.
      fresh: a new sequence starts at this step, from the cell's initial state.
    """

    valid: Flags | None = None
    fresh: Flags | None = None


def select(flag: Array | None, yes: Any, no: Any) -> Any:
    """`yes` where `flag [*batch]`, else `no`, for trees of `[*batch, ...]`; None means yes."""
    if flag is None:
        return yes

    def leaf(a: Array, b: Array) -> Array:
        return jnp.where(flag.reshape(flag.shape + (1,) * (a.ndim - flag.ndim)), a, b)

    return jax.tree.map(leaf, yes, no)


def zeros_like(tree: Any) -> Any:
    """Zeros in the shape of `tree`."""
    return jax.tree.map(jnp.zeros_like, tree)


def enter(cell: Cell, state: State, control: Control) -> State:
    """The state a step starts from: the initial one where a new sequence starts."""
    if control.fresh is None:
        return state
    batch_shape = control.fresh.shape
    dtype = jax.tree.leaves(state)[0].dtype
    return select(control.fresh, cell.initial_state(batch_shape, dtype), state)


def leave(before: State, after: State, y: Output, control: Control) -> tuple[State, Output]:
    """What a step hands on: past the end of its sequence the old state and a zero output."""
    return select(control.valid, after, before), select(control.valid, y, jnp.zeros_like(y))
