"""Truncated backpropagation through time.

Source: R. J. Williams and J. Peng, "An efficient gradient-based algorithm for on-line training of
recurrent network trajectories" (1990); here in the form BPTT(k; k) that language models use.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from rnnlab.arrays import Inputs, Outputs, Params, State
from rnnlab.layer import Cell
from rnnlab.sizes import check_positive
from rnnlab.strategies.autodiff import autodiff
from rnnlab.strategies.base import BaseStrategy, Runner, Strategy, inner_strategy
from rnnlab.strategies.control import Control
from rnnlab.strategies.time_blocks import scan_time_blocks


@dataclasses.dataclass(frozen=True)
class Truncated(BaseStrategy):
    """Cuts the gradient every `steps` steps; values are those of the full unroll.

    A loss at step `t` (counted from one) reaches back to the start of its time block, that is
    `(t - 1) mod steps + 1` steps. The given initial state belongs to the first time block.

    Attributes:
      steps: length `k` of a time block.
      inner: the strategy within a time block, by its name or itself.
    """

    steps: int
    inner: str | Strategy | Runner = autodiff

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", check_positive("steps", self.steps))
        object.__setattr__(self, "inner", inner_strategy(self.inner))

    def refuses(self, cell: Cell) -> str | None:
        """What `inner` refuses."""
        return inner_strategy(self.inner).refuses(cell)

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Scans over the time blocks, with no gradient through the state that enters one."""
        inner = inner_strategy(self.inner)

        def run(state: State, inputs: tuple[Any, Control], first: Any) -> tuple[State, Outputs]:
            xs, control = inputs
            state = jax.tree.map(lambda s: jnp.where(first, s, jax.lax.stop_gradient(s)), state)
            return inner(cell, params, xs, state, control)

        return scan_time_blocks(run, state, (xs, control), self.steps)
