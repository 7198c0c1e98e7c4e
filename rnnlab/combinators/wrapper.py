"""The cell around a cell: hands everything on, so that a wrapper states only what it changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.cells.base import Array, Cell, Params, State
from rnnlab.errors import UsageError


class Noisy(NamedTuple):
    """Inputs `xs`, or later their projection `u`, and the noise that goes beside them.

    The noise is an array of floats with time first: it is scanned, turned around and cut into
    chunks like the inputs, and a derivative with respect to it exists.
    """

    value: Any
    noise: Any


def on_value(function: Callable[[Any], Any], u: Any) -> Any:
    """Applies `function` to the projection inside any layers of noise."""
    if isinstance(u, Noisy):
        return Noisy(on_value(function, u.value), u.noise)
    return function(u)


@dataclasses.dataclass(frozen=True)
class CellWrapper:
    """A cell that does what `cell` does; the base of wrappers that keep the split.

    Parameters are those of `cell`, to whose dict a wrapper may add entries.

    Attributes:
      cell: a cell with the split `project / recur / gate`, or a wrapper of one.
    """

    cell: Any

    def __post_init__(self) -> None:
        if not getattr(self.cell, "is_split", False):
            raise UsageError(
                f"cell={self.cell!r}: {type(self).__name__} needs a cell with the split "
                "project / recur / gate; wrap the cells inside a stack, not the stack"
            )

    @property
    def hidden(self) -> int:
        """Number of units `H` of the cell."""
        return self.cell.hidden

    @property
    def features_out(self) -> int:
        """Number of features of the output `y`."""
        return self.cell.features_out

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the cell's blocks of gates."""
        return self.cell.blocks

    @property
    def recurrent_blocks(self) -> tuple[str, ...]:
        """Names of the blocks of the cell's `wh`."""
        return self.cell.recurrent_blocks

    @property
    def reset_first(self) -> bool:
        """Whether the cell has a second product."""
        return self.cell.reset_first

    @property
    def per_row(self) -> tuple[str, ...]:
        """Names of the cell's parameters that have a value for each row."""
        return self.cell.per_row

    @property
    def is_split(self) -> bool:
        """Whether `step` is the composition of `recur` and `gate`: always."""
        return True

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the cell's parameters."""
        return self.cell.init(key, features_in, dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The cell's initial state."""
        return self.cell.initial_state(batch_shape, dtype)

    def randomise(self, key: Array, params: Params, xs: Array) -> tuple[Params, Any]:
        """Draws the cell's noise for `xs [T, *batch, D]`."""
        return self.cell.randomise(key, params, xs)

    def project(self, params: Params, x: Any) -> Any:
        """The cell's `u`."""
        return self.cell.project(params, x)

    def recur(self, params: Params, state: State) -> Any:
        """The cell's `v`."""
        return self.cell.recur(params, state)

    def operand(self, params: Params, u: Any, v: Any, state: State) -> Array:
        """What enters the cell's second product."""
        return self.cell.operand(params, u, v, state)

    def recur_operand(self, params: Params, operand: Array) -> Array:
        """The cell's second product."""
        return self.cell.recur_operand(params, operand)

    def gate(self, params: Params, u: Any, v: Any, state: State) -> tuple[State, Array]:
        """The cell's elementwise part."""
        return self.cell.gate(params, u, v, state)

    def products(self, params: Params, u: Any, state: State) -> Any:
        """What `gate` receives as `v`, composed of the methods above."""
        return Cell.products(self, params, u, state)  # pyright: ignore[reportArgumentType]

    def step(self, params: Params, u: Any, state: State) -> tuple[State, Array]:
        """One step from `u`, composed of the methods above."""
        return Cell.step(self, params, u, state)  # pyright: ignore[reportArgumentType]
