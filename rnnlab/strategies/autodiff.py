"""The plain strategy: one `lax.scan`, differentiated by JAX."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax

from rnnlab.arrays import Inputs, Outputs, Params, State
from rnnlab.layer import Cell
from rnnlab.strategies.base import BaseStrategy
from rnnlab.strategies.control import Control, enter, leave
from rnnlab.tracing import project_all, trace


@dataclasses.dataclass(frozen=True)
class Autodiff(BaseStrategy):
    """Projects all inputs in one product, then scans. Forward and reverse mode, any order."""

    automatic: ClassVar[bool] = True

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Runs the scan; what depends on `xs` alone is found by tracing and computed before it."""
        step = trace(cell, params, xs, state)

        def body(state: State, inputs: tuple[Any, Control]) -> tuple[State, Outputs]:
            u, now = inputs
            before = enter(cell, state, now)
            after, y = step.advance(params, u, before)
            return leave(before, after, y, now)

        # Of the inputs, which may have noise beside them: a step need not read any of them.
        length = jax.tree.leaves(xs)[0].shape[0]
        return jax.lax.scan(body, state, (project_all(step, params, xs), control), length=length)


#: The plain scan.
autodiff = Autodiff()
