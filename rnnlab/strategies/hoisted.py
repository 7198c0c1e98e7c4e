"""One forward and one backward pass for every cell, with the weights' gradients out of the scan.

A step is split into its products with weights and the rest, which is elementwise (`columns.py`).
With the adjoints `ds' = ∂L/∂s'` and `dy = ∂L/∂y`, one step backwards is

    (du, dz, ds) = (∂rest/∂(u, z, s))ᵀ (ds', dy)        elementwise
    ds += wᵀ dz                                         the products left in the scan

and each weight gets its gradient from a block of steps at once: `dw += Σ_t dz_t x_tᵀ` is one
product `[m, K N] @ [K N, n]` for the `K` steps and `N` sequences of a block. Only the parameters of
the elementwise rest (peepholes, gains) are summed step by step.

The forward pass keeps the state and the products of every step, and no activation: those are
evaluated again. Where a projected input `u` and a product only ever appear as their sum `z`, as in
most gates, the sum alone is kept.

In 16-bit floats the products take their operands as they are and everything else, sums of products
included, is float32; what is kept for the backward pass has 16 bits.

Reverse mode only: JAX cannot differentiate a custom backward pass in forward mode.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rnnlab.cells.base import Array, Cell, Params, State
from rnnlab.strategies.blocks import Blocks
from rnnlab.strategies.control import Control

#: Columns that a block should have: enough for its products to run at full speed, few enough to
#: stay in the cache.
COLUMNS = 1024
#: The fewest and the most steps in a block.
STEPS = 16, 128


def hoisted(
    cell: Cell, params: Params, xs: Any, state: State, control: Control
) -> tuple[State, Array]:
    """Scans block by block, with the hand-derived backward pass."""
    batch_shape = jax.tree.leaves(state)[0].shape[:-1]
    steps = jax.tree.leaves(xs)[0].shape[0]
    size = block_size(steps, math.prod(batch_shape))
    if steps % size:
        xs, control = _pad((xs, _with_valid(control, steps, batch_shape)), -steps % size)
    own = {name: params[name] for name in cell.per_row if name in params}
    shared = {name: value for name, value in params.items() if name not in own}
    xs, control = jax.tree.map(partial(_one_batch_axis, 1, len(batch_shape)), (xs, control))
    own, state = jax.tree.map(partial(_one_batch_axis, 0, len(batch_shape)), (own, state))
    results: Any = _run(Blocks(cell, size, shared, own, xs, state), shared, own, xs, state, control)
    final, ys = results
    final = jax.tree.map(lambda a: a.reshape(*batch_shape, a.shape[-1]), final)
    return final, ys[:steps].reshape(steps, *batch_shape, ys.shape[-1])


def block_size(steps: int, batch: int) -> int:
    """Steps in a block: a divisor of the length if there is one near the best size."""
    least, most = STEPS
    best = min(max(COLUMNS // max(batch, 1), least), most)
    if steps <= best:
        return max(steps, 1)
    near = [*range(best, best // 2, -1), *range(best + 1, 2 * best)]
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
    blocks: Blocks, shared: Params, own: Params, xs: Any, state: State, control: Control
) -> tuple[State, Array]:
    return blocks.forward(False, shared, own, xs, state, control)[0]


def _run_forward(
    blocks: Blocks, shared: Params, own: Params, xs: Any, state: State, control: Control
) -> Any:
    results, kept = blocks.forward(True, shared, own, xs, state, control)
    return results, (shared, own, xs, control, kept)


def _run_backward(blocks: Blocks, residuals: Any, cotangents: tuple[State, Array]) -> Any:
    shared, own, xs, control, kept = residuals
    return blocks.backward(shared, own, xs, control, kept, *cotangents)


_run.defvjp(_run_forward, _run_backward)
