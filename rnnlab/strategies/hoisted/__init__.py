"""One forward and one backward pass for every cell, with the weights' gradients out of the scan.

A step is divided into its products with weights and the rest, which is elementwise.
With the adjoints `ds' = ∂L/∂s'` and `dy = ∂L/∂y`, one step backwards is

    (du, dz, ds) = (∂rest/∂(u, z, s))ᵀ (ds', dy)        elementwise
    ds += wᵀ dz                                         the products left in the scan

and each weight gets its gradient from a time block at once: `dw += Σ_t dz_t x_tᵀ` is one
product `[m, K N] @ [K N, n]` for the `K` steps and `N` sequences of a time block. Only the
parameters of the elementwise rest (peepholes, gains) are summed step by step.

The forward pass keeps the state and the products of every step, and no activation: those are
evaluated again. A part of the state that is the output as well is kept once. Where a projected
input `u` and a product only ever appear as their sum `z`, as in most gates, the sum alone is kept.

In 16-bit floats the products take their operands as they are and everything else, sums of products
included, is float32; what is kept for the backward pass has 16 bits.

Reverse mode only: JAX cannot differentiate a custom backward pass in forward mode.

The files: `reassociate.py` orders the sums of a step, `columns.py` traces a function of one
sequence and evaluates it for a batch in columns, `products.py` multiplies them, `sums.py` finds
what must be kept for the backward pass, `step_columns.py` is a step forwards and backwards, and
`scan.py` the scan over time blocks.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Inputs, Outputs, Params, State
from rnnlab.layer import Cell, NoisyCell
from rnnlab.strategies.autodiff import autodiff
from rnnlab.strategies.base import BaseStrategy, StrategyWarning
from rnnlab.strategies.control import Control
from rnnlab.strategies.hoisted.scan import TimeBlocks
from rnnlab.strategies.hoisted.step_columns import CannotRun

#: Columns that a time block should have: enough for its products to run at full speed, few enough
#: to stay in the cache.
TIME_BLOCK_COLUMNS = 1024
#: The fewest and the most steps in a time block.
TIME_BLOCK_STEPS = 16, 128


@dataclasses.dataclass(frozen=True)
class Hoisted(BaseStrategy):
    """Scans time block by time block, with the hand-derived backward pass.

    A cell that it cannot divide runs by `autodiff`, with a `StrategyWarning` that says why.
    """

    automatic: ClassVar[bool] = True

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Runs the scan. Reverse mode only."""
        shape = jax.tree.leaves(xs)[0].shape
        steps, batch_shape = shape[0], shape[1:-1]
        reason = _unlike_columns(xs, state, len(batch_shape))
        if reason is not None:
            return self._fall_back(reason, cell, params, xs, state, control)
        size = self._time_block_size(steps, math.prod(batch_shape), state)
        arguments = params, xs, state, control
        if steps % size:
            xs, control = _pad((xs, _with_valid(control, steps, batch_shape)), -steps % size)
        per_row = cell.per_row if isinstance(cell, NoisyCell) else ()
        own = {name: params[name] for name in per_row if name in params}
        shared = params if not own else {k: v for k, v in params.items() if k not in own}
        xs, control = jax.tree.map(partial(_one_batch_axis, 1, len(batch_shape)), (xs, control))
        own, state = jax.tree.map(partial(_one_batch_axis, 0, len(batch_shape)), (own, state))
        try:
            blocks = self._time_blocks(cell, size, shared, own, xs, state, control)
        except CannotRun as error:
            return self._fall_back(str(error), cell, *arguments)
        except Exception as error:  # a step written for a batch alone may fail in any way
            reason = f"its step cannot be traced for a single sequence ({error})"
            return self._fall_back(reason, cell, *arguments)
        results: Any = _run(blocks, shared, own, xs, state, control)
        final, ys = results
        final = jax.tree.map(lambda a: a.reshape(*batch_shape, a.shape[-1]), final)
        return final, ys[:steps].reshape(steps, *batch_shape, ys.shape[-1])

    def _time_block_size(self, steps: int, batch: int, state: State) -> int:
        """Steps in a time block."""
        del state
        return time_block_size(steps, batch)

    def _time_blocks(
        self,
        cell: Cell,
        size: int,
        shared: Params,
        own: Params,
        xs: Any,
        state: State,
        control: Control,
    ) -> TimeBlocks:
        """What runs the time blocks. Raises CannotRun with the reason."""
        del control
        return TimeBlocks(cell, size, shared, own, xs, state)

    def _fall_back(
        self, reason: str, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Runs the plain scan, and says why."""
        warn_of_fall_back("hoisted", cell, "autodiff", reason)
        return autodiff(cell, params, xs, state, control)


def _unlike_columns(xs: Inputs, state: State, batch_axes: int) -> str | None:
    """Why inputs or state are not a vector of floats for each sequence; None where they are."""
    for name, tree, axes in (("xs", xs, batch_axes + 2), ("the state", state, batch_axes + 1)):
        for leaf in jax.tree.leaves(tree):
            if leaf.ndim != axes or not jnp.issubdtype(leaf.dtype, jnp.floating):
                shape = list(leaf.shape)
                return f"{name} holds {leaf.dtype}{shape}, no vector of floats for each sequence"
    if not jax.tree.leaves(state):
        return "it has no state"
    return None


def warn_of_fall_back(strategy: str, cell: Cell, instead: str, reason: str) -> None:
    """Says that a cell runs by another strategy, and why."""
    warnings.warn(
        f"strategy={strategy!r}: {type(cell).__name__} runs by {instead!r}, since "
        + " ".join(reason.split()),
        StrategyWarning,
        stacklevel=5,
    )


def time_block_size(steps: int, batch: int) -> int:
    """Steps in a time block: a divisor of the length if there is one near the best size."""
    least, most = TIME_BLOCK_STEPS
    best = min(max(TIME_BLOCK_COLUMNS // max(batch, 1), least), most)
    if steps <= best:
        return max(steps, 1)
    near = sorted(range(best // 2 + 1, 2 * best), key=lambda size: abs(math.log(size / best)))
    even = -(-steps // -(-steps // best))  # blocks of equal size, with the least padding
    return next((size for size in near if steps % size == 0), even)


def _with_valid(control: Control, steps: int, batch_shape: tuple[int, ...]) -> Control:
    valid = jnp.ones((steps, *batch_shape), bool) if control.valid is None else control.valid
    return control._replace(valid=valid)


def _pad(tree: Any, steps: int) -> Any:
    """Appends steps of zeros, which `valid` calls padding."""
    return jax.tree.map(lambda a: jnp.pad(a, [(0, steps)] + [(0, 0)] * (a.ndim - 1)), tree)


def _one_batch_axis(axis: int, count: int, a: Array) -> Array:
    """Makes one axis of the `count` axes of the batch that start at `axis`."""
    batch = a.shape[axis : axis + count]
    return a.reshape(*a.shape[:axis], math.prod(batch), *a.shape[axis + count :])


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(
    blocks: TimeBlocks, shared: Params, own: Params, xs: Any, state: State, control: Control
) -> tuple[State, Outputs]:
    return blocks.forward(False, shared, own, xs, state, control)[0]


def _run_forward(
    blocks: TimeBlocks, shared: Params, own: Params, xs: Any, state: State, control: Control
) -> Any:
    (final, ys), kept = blocks.forward(True, shared, own, xs, state, control)
    return (final, ys), (shared, own, xs, state, control, ys, kept)


def _run_backward(blocks: TimeBlocks, residuals: Any, cotangents: tuple[State, Outputs]) -> Any:
    return blocks.backward(*residuals, *cotangents)  # pyright: ignore[reportCallIssue]


_run.defvjp(_run_forward, _run_backward)


#: The backward pass derived once for all cells.
hoisted = Hoisted()
