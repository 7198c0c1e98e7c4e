"""Memory that grows as √T: only the states between chunks are kept, the rest is computed again.

Source: A. Gruslys et al., "Memory-efficient backpropagation through time" (2016); T. Chen et al.,
"Training deep nets with sublinear memory cost" (2016).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax

from rnnlab.cells.base import Array, Cell, Params, State, check_positive
from rnnlab.strategies.autodiff import autodiff
from rnnlab.strategies.chunks import scan_chunks
from rnnlab.strategies.control import Control, Strategy


@dataclasses.dataclass(frozen=True)
class Rematerialised:
    """Keeps `T / chunk` states and, during the backward pass, the residuals of one chunk.

    Attributes:
      chunk: steps in a chunk; None takes about `√T`, which needs the least memory.
      inner: the strategy within a chunk.
    """

    chunk: int | None = None
    inner: Strategy = autodiff

    def __post_init__(self) -> None:
        if self.chunk is not None:
            check_positive("chunk", self.chunk)

    def __call__(
        self, cell: Cell, params: Params, xs: Any, state: State, control: Control
    ) -> tuple[State, Array]:
        """Scans over the chunks; each is run again when its gradient is taken."""
        steps = jax.tree.leaves(xs)[0].shape[0]
        size = self.chunk or chunk_near_root(steps)

        @jax.checkpoint
        def run(state: State, inputs: tuple[Any, Control]) -> tuple[State, Array]:
            xs, control = inputs
            return self.inner(cell, params, xs, state, control)

        return scan_chunks(lambda s, chunk, first: run(s, chunk), state, (xs, control), size)


def chunk_near_root(steps: int) -> int:
    """The first divisor of `steps` in `⌈√T⌉ .. 2⌈√T⌉ - 1`, else `⌈√T⌉`.

    Chunks that leave no rest are views of the inputs; a rest costs a copy of inputs and outputs.
    """
    root = 1 + math.isqrt(max(steps - 1, 0))
    return next((size for size in range(root, 2 * root) if steps % size == 0), root)


#: Chunks of about `√T` steps, plain autodiff within them.
rematerialised = Rematerialised()
