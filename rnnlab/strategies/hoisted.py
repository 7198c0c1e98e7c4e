"""A backward pass derived once for every cell that has the split `project / recur / gate`.

With the adjoints `ds' = ∂L/∂s'` and `dy = ∂L/∂y`, one step backwards is

    (du, dv, ds) = (∂gate/∂(u, v, s))ᵀ (ds', dy)        elementwise
    ds += (∂recur/∂s)ᵀ dv                               the one matrix product in the scan

and the weights, which enter `recur` linearly, get their gradient from a block of steps at once:
`dwh += Σ_t h_{t-1}ᵀ dv_t = reshape(h, [KB, H])ᵀ @ reshape(dv, [KB, kH])` for its `K` steps. Only
the few parameters inside `gate` (peepholes, gains) are summed step by step.

The forward pass keeps the states and nothing else. The products of a block, `u` and `v`, are
computed again when the backward pass reaches it, as large products rather than one for each step.
That spares most of the memory, which on a CPU also means the page faults of fresh memory.

Reverse mode only: JAX cannot differentiate a custom backward pass in forward mode.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Var

from rnnlab.cells.base import Array, Cell, Params, State
from rnnlab.errors import UsageError
from rnnlab.strategies.autodiff import autodiff
from rnnlab.strategies.control import Control, enter, leave, select, zeros_like

#: Steps in a block, the first of these that divides the length; if none does, the length is padded
#: to a multiple of the first.
SIZES = (16, 20, 18, 24, 15, 14, 12, 21, 22, 10, 28, 25, 30, 32, 27, 26, 9, 8)


def hoisted(
    cell: Cell, params: Params, xs: Any, state: State, control: Control
) -> tuple[State, Array]:
    """Scans with the hand-derived backward pass. Raises UsageError for a cell without the split."""
    if not cell.is_split:
        raise UsageError(
            f"strategy='hoisted': {type(cell).__name__} overrides `step` and has no split into "
            "recur and gate; use 'autodiff' or 'rematerialised'"
        )
    steps = jax.tree.leaves(xs)[0].shape[0]
    size = _block_size(steps)
    if steps % size:
        batch_shape = jax.tree.leaves(state)[0].shape[:-1]
        xs, control = _pad((xs, _with_valid(control, steps, batch_shape)), -steps % size)
    outputs: Any = _run(cell, size, params, xs, state, control)
    final, ys = outputs
    return final, ys[:steps]


def _block_size(steps: int) -> int:
    """The best of `SIZES` that divides the length; short sequences are one block."""
    if steps < min(SIZES):
        return max(steps, 1)
    return next((size for size in SIZES if steps % size == 0), SIZES[0])


def _with_valid(control: Control, steps: int, batch_shape: tuple[int, ...]) -> Control:
    valid = jnp.ones((steps, *batch_shape), bool) if control.valid is None else control.valid
    return control._replace(valid=valid)


def _pad(tree: Any, steps: int) -> Any:
    """Appends steps of zeros, which `valid` calls padding."""
    return jax.tree.map(lambda a: jnp.pad(a, [(0, steps)] + [(0, 0)] * (a.ndim - 1)), tree)


def _blocks(tree: Any, size: int) -> Any:
    """Leaves `[T, ...]` as `[T / size, size, ...]`."""
    return jax.tree.map(lambda a: a.reshape(a.shape[0] // size, size, *a.shape[1:]), tree)


def _steps(tree: Any) -> Any:
    """Leaves `[T / size, size, ...]` as `[T, ...]`."""
    return jax.tree.map(lambda a: a.reshape(a.shape[0] * a.shape[1], *a.shape[2:]), tree)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _run(
    cell: Cell, size: int, params: Params, xs: Any, state: State, control: Control
) -> tuple[State, Array]:
    del size
    return autodiff(cell, params, xs, state, control)


def _forward(cell: Cell, size: int, params: Params, xs: Any, state: State, control: Control) -> Any:
    """Runs the cell block by block and keeps the states that the steps entered."""

    def step(state: State, inputs: tuple[Any, Control]) -> Any:
        u, now = inputs
        before = enter(cell, state, now)
        after, y = cell.gate(params, u, cell.products(params, u, before), before)
        after, y = leave(before, after, y, now)
        return after, (y, before)

    def block(state: State, inputs: tuple[Any, Control]) -> Any:
        xs, control = inputs
        us = _project(cell, params, xs)
        return jax.lax.scan(step, state, (us, control))

    state, (ys, befores) = jax.lax.scan(block, state, _blocks((xs, control), size))
    return (state, _steps(ys)), (params, xs, befores, control)


def _backward(cell: Cell, size: int, residuals: Any, cotangents: tuple[State, Array]) -> Any:
    params, xs, befores, control = residuals
    d_final, d_ys = cotangents
    blocks = _blocks((xs, control, d_ys), size)
    first = jax.eval_shape(lambda tree: jax.tree.map(lambda a: a[0], tree), (blocks[0], befores))
    us, vs = jax.eval_shape(partial(_products, cell, params), *first)
    inner = _GateParams(cell, params, us, first[1], vs)

    def block(carry: Any, inputs: Any) -> Any:
        d_state, d_inner, d_params = carry
        (xs, control, d_ys), befores = inputs
        us, vs = _products(cell, params, xs, befores)
        body = partial(_step_back, cell, params, inner)
        (d_state, d_inner), (d_us, d_vs) = jax.lax.scan(
            body, (d_state, d_inner), (us, befores, vs, control, d_ys), reverse=True
        )
        d_new, d_xs = _weight_gradients(cell, params, xs, us, befores, vs, d_us, d_vs)
        return (d_state, d_inner, _add(d_params, d_new)), d_xs

    start = (d_final, zeros_like(inner.values), zeros_like(params))
    (d_state, d_inner, d_params), d_xs = jax.lax.scan(block, start, (blocks, befores), reverse=True)
    return inner.add_to(d_params, d_inner), _steps(d_xs), d_state, None


_run.defvjp(_forward, _backward)


def _step_back(cell: Cell, params: Params, inner: _GateParams, carry: Any, inputs: Any) -> Any:
    """One step backwards, as in the module's docstring."""
    d_after, d_inner = carry
    u, before, v, now, dy = inputs
    d_new = select(now.valid, d_after, zeros_like(d_after))
    d_frozen = None if now.valid is None else select(now.valid, zeros_like(d_after), d_after)
    dy = select(now.valid, dy, jnp.zeros_like(dy))

    _, pull_gate = jax.vjp(partial(inner.call, cell.gate), inner.values, u, v, before)
    d_used, du, dv, d_before = pull_gate((d_new, dy))
    dv_first = dv
    if cell.reset_first:
        dv_first, dw = dv
        operand, pull_operand = jax.vjp(
            partial(inner.call, cell.operand), inner.values, u, v[0], before
        )
        (d_operand,) = _pull(lambda a: cell.recur_operand(params, a), operand)(dw)
        more = pull_operand(d_operand)
        d_used, du, dv_first, d_before = _add((d_used, du, dv_first, d_before), more)
        dv = (dv_first, dw)
    (d_state,) = _pull(lambda s: cell.recur(params, s), before)(dv_first)
    d_before = _add(d_before, d_state)
    if d_frozen is not None:
        d_before = _add(d_before, d_frozen)
    d_before = _cut(now.fresh, d_before)
    return (d_before, _add(d_inner, d_used)), (du, dv)


def _products(cell: Cell, params: Params, xs: Any, befores: State) -> tuple[Any, Any]:
    """`u` and `v` of a block of steps."""
    us = _project(cell, params, xs)
    lead = jax.tree.leaves(befores)[0].shape[:-1]
    flat = _rows(cell, (us, befores))
    return us, _unrow(cell.products(params, *flat), lead)


def _project(cell: Cell, params: Params, xs: Any) -> Any:
    lead = jax.tree.leaves(xs)[0].shape[:-1]
    return _unrow(cell.project(params, _rows(cell, xs)), lead)


def _weight_gradients(
    cell: Cell, params: Params, xs: Any, us: Any, befores: State, vs: Any, d_us: Any, d_vs: Any
) -> tuple[Params, Any]:
    """Gradients of the weights and of the inputs of a block, a product each."""
    shapes = xs
    xs, us, befores, vs, d_us, d_vs = _rows(cell, (xs, us, befores, vs, d_us, d_vs))
    d_first, d_second = d_vs if cell.reset_first else (d_vs, None)
    d_params, d_xs = jax.vjp(cell.project, params, xs)[1](d_us)
    d_params = _add(d_params, _pull(lambda p: cell.recur(p, befores), params)(d_first)[0])
    if cell.reset_first:
        operands = cell.operand(params, us, vs[0], befores)
        more = _pull(lambda p: cell.recur_operand(p, operands), params)(d_second)[0]
        d_params = _add(d_params, more)
    return d_params, jax.tree.map(lambda a, b: a.reshape(b.shape), d_xs, shapes)


def _rows(cell: Cell, tree: Any) -> Any:
    """Time and batch as the rows of one matrix, which spares XLA a transposed copy.

    Not for wrapped cells, whose parameters may hold a mask for each sequence.
    """
    if not isinstance(cell, Cell):
        return tree
    return jax.tree.map(lambda a: a.reshape(-1, a.shape[-1]), tree)


def _unrow(tree: Any, lead: tuple[int, ...]) -> Any:
    return jax.tree.map(lambda a: a.reshape(*lead, a.shape[-1]), tree)


class _GateParams:
    """The parameters that `gate` and `operand` really read, found by tracing them once.

    All others would be carried through the scan as zeros of the size of the weights.
    """

    def __init__(self, cell: Cell, params: Params, us: Any, befores: State, vs: Any) -> None:
        self._leaves, self._treedef = jax.tree.flatten(params)
        u, before, v = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), (us, befores, vs)
        )

        def gate(leaves: list[Array], u: Any, v: Any, before: State) -> Any:
            params = jax.tree.unflatten(self._treedef, leaves)
            operand = cell.operand(params, u, v[0], before) if cell.reset_first else None
            return cell.gate(params, u, v, before), operand

        jaxpr = jax.make_jaxpr(gate)(self._leaves, u, v, before).jaxpr
        read = {var for eqn in jaxpr.eqns for var in eqn.invars if isinstance(var, Var)}
        invars = jaxpr.invars[: len(self._leaves)]
        self._indices = [index for index, var in enumerate(invars) if var in read]
        self.values = [self._leaves[i] for i in self._indices]

    def call(self, function: Any, values: list[Array], *args: Any) -> Any:
        """`function(params, *args)` with these values in their places."""
        leaves = list(self._leaves)
        for index, value in zip(self._indices, values, strict=True):
            leaves[index] = value
        return function(jax.tree.unflatten(self._treedef, leaves), *args)

    def add_to(self, gradients: Params, values: list[Array]) -> Params:
        """Adds the gradients of these values to those of all parameters."""
        leaves = jax.tree.leaves(gradients)
        for index, value in zip(self._indices, values, strict=True):
            leaves[index] = leaves[index] + value
        return jax.tree.unflatten(self._treedef, leaves)


def _pull(function: Any, at: Any) -> Any:
    return jax.vjp(function, at)[1]


def _add(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)


def _cut(fresh: Array | None, d_state: State) -> State:
    """No gradient flows back across the start of a sequence."""
    return d_state if fresh is None else select(fresh, zeros_like(d_state), d_state)
