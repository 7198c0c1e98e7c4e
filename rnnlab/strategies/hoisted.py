"""A backward pass derived once for every cell that has the split `project / recur / gate`.

With the adjoints `ds' = ∂L/∂s'` and `dy = ∂L/∂y`, one step backwards is

    (du, dv, ds) = (∂gate/∂(u, v, s))ᵀ (ds', dy)        elementwise
    ds += (∂recur/∂s)ᵀ dv                               the one matrix product in the scan

and the weights, which enter `recur` linearly, get their gradient from all steps at once after the
reverse scan: `dwh = Σ_t h_{t-1}ᵀ dv_t = reshape(h, [TB, H])ᵀ @ reshape(dv, [TB, kH])`. Only the few
parameters inside `gate` (peepholes, gains) are summed step by step.

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
from rnnlab.strategies.control import Control, enter, leave, select, zeros_like


def hoisted(
    cell: Cell, params: Params, xs: Any, state: State, control: Control
) -> tuple[State, Array]:
    """Scans with the hand-derived backward pass. Raises UsageError for a cell without the split."""
    if not cell.is_split:
        raise UsageError(
            f"strategy='hoisted': {type(cell).__name__} overrides `step` and has no split into "
            "recur and gate; use 'autodiff' or 'rematerialised'"
        )
    return _scan(cell, params, cell.project(params, xs), state, control)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(
    cell: Cell, params: Params, us: Any, state: State, control: Control
) -> tuple[State, Array]:
    return _forward(cell, params, us, state, control)[0]


def _forward(cell: Cell, params: Params, us: Any, state: State, control: Control) -> Any:
    """Runs the cell and keeps, for each step, the state before it and `v`."""

    def body(state: State, inputs: tuple[Any, Control]) -> Any:
        u, now = inputs
        before = enter(cell, state, now)
        v = cell.products(params, u, before)
        after, y = cell.gate(params, u, v, before)
        after, y = leave(before, after, y, now)
        return after, (y, before, v)

    final, (ys, befores, vs) = jax.lax.scan(body, state, (us, control))
    return (final, ys), (params, us, befores, vs, control)


def _backward(cell: Cell, residuals: Any, cotangents: tuple[State, Array]) -> Any:
    params, us, befores, vs, control = residuals
    d_final, d_ys = cotangents
    inner = _GateParams(cell, params, us, befores, vs)

    def body(carry: Any, inputs: Any) -> Any:
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

    start = (d_final, zeros_like(inner.values))
    inputs = (us, befores, vs, control, d_ys)
    (d_state, d_inner), (d_us, d_vs) = jax.lax.scan(body, start, inputs, reverse=True)
    d_params = inner.add_to(_weight_gradients(cell, params, us, befores, vs, d_vs), d_inner)
    return d_params, d_us, d_state, None


_scan.defvjp(_forward, _backward)


def _weight_gradients(
    cell: Cell, params: Params, us: Any, befores: State, vs: Any, d_vs: Any
) -> Params:
    """Gradients of the recurrent weights: one product over all steps and sequences."""
    if not cell.reset_first:
        return _pull(lambda p: cell.recur(p, befores), params)(d_vs)[0]
    d_first, d_second = d_vs
    operands = cell.operand(params, us, vs[0], befores)
    first = _pull(lambda p: cell.recur(p, befores), params)(d_first)[0]
    second = _pull(lambda p: cell.recur_operand(p, operands), params)(d_second)[0]
    return _add(first, second)


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
