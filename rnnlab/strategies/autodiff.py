"""The plain strategy: one `lax.scan`, differentiated by JAX."""

from __future__ import annotations

from typing import Any

import jax

from rnnlab.cells.base import Array, Cell, Params, State
from rnnlab.strategies.control import Control, controlled_step


def autodiff(
    cell: Cell, params: Params, xs: Any, state: State, control: Control
) -> tuple[State, Array]:
    """Projects all inputs in one product, then scans. Forward and reverse mode, any order."""

    def body(state: State, inputs: tuple[Any, Control]) -> tuple[State, Array]:
        u, now = inputs
        return controlled_step(cell, params, u, state, now)

    return jax.lax.scan(body, state, (cell.project(params, xs), control))
