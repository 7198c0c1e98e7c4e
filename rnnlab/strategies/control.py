"""Which steps count and where sequences start: the part of the contract every strategy shares."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from rnnlab.cells.base import Array, Cell, Params, State


class Control(NamedTuple):
    """Flags `[T, *batch]`, or None where every step is plain.

    Attributes:
      valid: the step lies within its sequence; elsewhere the state is frozen and the output zero.
      fresh: a new sequence starts at this step, from the cell's initial state.
    """

    valid: Array | None = None
    fresh: Array | None = None


class Strategy(Protocol):
    """Runs a cell over `xs [T, *batch, D]`; returns the final state and `ys [T, *batch, H]`."""

    def __call__(
        self, cell: Cell, params: Params, xs: Any, state: State, control: Control
    ) -> tuple[State, Array]:
        """Returns the state after the last step and the outputs of all steps."""
        ...


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


def leave(before: State, after: State, y: Array, control: Control) -> tuple[State, Array]:
    """What a step hands on: past the end of its sequence the old state and a zero output."""
    return select(control.valid, after, before), select(control.valid, y, jnp.zeros_like(y))


def controlled_step(
    cell: Cell, params: Params, u: Any, state: State, control: Control
) -> tuple[State, Array]:
    """`cell.step` under the flags of one step in time."""
    before = enter(cell, state, control)
    after, y = cell.step(params, u, before)
    return leave(before, after, y, control)
