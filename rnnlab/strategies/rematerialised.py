"""Memory that grows as √T: only states between time blocks are kept, all else is recomputed.

Source: A. Gruslys et al., "Memory-efficient backpropagation through time" (2016); T. Chen et al.,
"Training deep nets with sublinear memory cost" (2016).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax

from rnnlab.arrays import Inputs, Outputs, Params, State
from rnnlab.layer import Cell
from rnnlab.sizes import check_positive
from rnnlab.strategies.autodiff import autodiff
from rnnlab.strategies.base import BaseStrategy, Runner, Strategy, inner_strategy
from rnnlab.strategies.control import Control
from rnnlab.strategies.time_blocks import scan_time_blocks


@dataclasses.dataclass(frozen=True)
class Rematerialised(BaseStrategy):
    """Keeps `T / time_block` states and, during the backward pass, the residuals of one block.

    Attributes:
      time_block: steps in a block; None takes about `√T`, which needs the least memory.
      inner: the strategy within a time block, by its name or itself.
    """

    time_block: int | None = None
    inner: str | Strategy | Runner = autodiff

    def __post_init__(self) -> None:
        object.__setattr__(self, "inner", inner_strategy(self.inner))
        if self.time_block is not None:
            time_block = check_positive("time_block", self.time_block)
            object.__setattr__(self, "time_block", time_block)

    def refuses(self, cell: Cell) -> str | None:
        """What `inner` refuses."""
        return inner_strategy(self.inner).refuses(cell)

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Scans over the time blocks; each is run again when its gradient is taken."""
        steps = jax.tree.leaves(xs)[0].shape[0]
        size = self.time_block or time_block_near_root(steps)

        inner = inner_strategy(self.inner)

        @jax.checkpoint
        def run(state: State, inputs: tuple[Any, Control]) -> tuple[State, Outputs]:
            xs, control = inputs
            return inner(cell, params, xs, state, control)

        return scan_time_blocks(lambda s, block, first: run(s, block), state, (xs, control), size)


def time_block_near_root(steps: int) -> int:
    """The first divisor of `steps` in `⌈√T⌉ .. 2⌈√T⌉ - 1`, else `⌈√T⌉`.

    Time blocks that leave no rest are views of the inputs; a rest costs a copy of inputs and
    outputs.
    """
    root = 1 + math.isqrt(max(steps - 1, 0))
    return next((size for size in range(root, 2 * root) if steps % size == 0), root)


#: Time blocks of about `√T` steps, plain autodiff within them.
rematerialised = Rematerialised()
