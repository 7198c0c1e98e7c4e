"""The cell around a cell: delegates everything, so that a wrapper states only what it changes."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Inputs, Key, Params, State
from rnnlab.cells.base import StandardCell
from rnnlab.errors import UsageError
from rnnlab.layer import Arrangement, Cell, NoisyCell, output_size
from rnnlab.tracing import TracedStep


class Noisy(NamedTuple):
    """Inputs of a cell, and the noise that goes beside them.

    The noise is an array of floats with time first: it is scanned, reversed and cut into blocks
    like the inputs, and a derivative with respect to it exists.
    """

    value: Any
    noise: Any


@dataclasses.dataclass(frozen=True)
class CellWrapper(NoisyCell):
    """A cell that does what `cell` does; a wrapper overrides what it changes, `step` at least.

    Parameters are those of `cell`, to whose dict a wrapper may add entries.

    Attributes:
      cell: a cell, or a wrapper of one.
    """

    cell: Any

    def __post_init__(self) -> None:
        if isinstance(self.cell, Arrangement) or not isinstance(self.cell, Cell):
            raise UsageError(
                f"cell={self.cell!r}: {type(self).__name__} needs a single cell; wrap the cells "
                "inside a stack, not the stack"
            )

    @property
    def standard(self) -> StandardCell:
        """The cell inside all wrappers, where it is one that names its units and gates.

        Raises:
          AttributeError: a cell that does not.
        """
        inside = self.cell.standard if isinstance(self.cell, CellWrapper) else self.cell
        if not isinstance(inside, StandardCell):
            raise AttributeError(f"{type(inside).__name__} names no gates")
        return inside

    @property
    def hidden(self) -> int:
        """Number of units `H` of the cell."""
        return self.cell.hidden

    @property
    def features_out(self) -> int | None:
        """Number of features of the output `y`."""
        return output_size(self.cell)

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of the cell's gate blocks."""
        return self.standard.gate_names

    @property
    def recurrent_gate_names(self) -> tuple[str, ...]:
        """Names of the gate blocks of the cell's `wh`."""
        return self.standard.recurrent_gate_names

    @property
    def per_row(self) -> tuple[str, ...]:
        """Names of the cell's parameters that have a value for each row."""
        return self.cell.per_row if isinstance(self.cell, NoisyCell) else ()

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the cell's parameters."""
        return self.cell.init(key, features_in, dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The cell's initial state."""
        return self.cell.initial_state(batch_shape, dtype)

    def randomise(self, key: Key, params: Params, xs: Inputs) -> tuple[Params, Any]:
        """Draws the cell's noise for `xs [T, *batch, D]`."""
        if isinstance(self.cell, NoisyCell):
            return self.cell.randomise(key, params, xs)
        return params, xs

    def step(self, params: Params, x: Any, state: State) -> tuple[State, Array]:
        """The cell's step."""
        return self.cell.step(params, x, state)

    def traced(self, params: Params, x: Any, state: State) -> TracedStep:
        """The traced step of the cell, for arguments like these."""
        return TracedStep(self.cell, *jax.tree.map(_shape, (params, x, state)))


def _shape(a: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(a.shape, a.dtype)
