"""Gradient norms of one network for a loss at each of many lengths, from one run.

The forward pass to the longest length is shared: its states are those of every shorter one. The
adjoints of all losses travel backwards together as the columns of one product,

    λ_n(t) = (∂s_{t+1}/∂s_t)ᵀ λ_n(t+1),    λ_n enters at the end of its own length,

so that a step costs one matrix product with `n B` rows however many lengths there are. Only the
lengths still active take part: time is cut into segments with a fixed number of them. Adjoints are
renormalised by exact powers of two every few steps and the exponents summed as integers, so that
neither 0 nor inf can appear. The recurrent weights' gradient is one product for those few steps.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rnnlab.cells.base import Array, Cell, Params, State
from rnnlab.gradients.scaled import ZERO_EXPONENT, Scaled, hypot, log10, norm, normalise, shift

#: Steps between two renormalisations; one step may scale a float32 adjoint by 1e-9 to 1e9.
STEPS_BETWEEN = 4
#: Segments of time at most; each compiles a scan of its own.
MAX_SEGMENTS = 4


def gradient_norms(
    cell: Cell,
    params: Params,
    xs: Array,
    readout: Array,
    lengths: tuple[int, ...],
) -> dict[str, Array]:
    """`log10` gradient norms of `L_T = mean_b <readout_b, y_{T,b}>` for every `T` in `lengths`.

    Args:
      cell: a cell with the split into project, recur and gate.
      params: its parameters.
      xs: inputs `[T, B, D]`, at least as long as the longest length.
      readout: unit vectors `[B, H]`, one for each sequence.
      lengths: the lengths, ascending, without repetition.

    Returns:
      `state` and one entry for each part of the state (`h`, `c`): `log10 ‖∂(B L_T)/∂s_0‖` of one
      sequence, averaged over the batch, `[len(lengths)]`; `wh`: `log10 ‖∂L_T/∂wh‖`, if the cell
      has recurrent weights.
    """
    size = STEPS_BETWEEN
    blocks = -(-lengths[-1] // size)
    xs = xs[: lengths[-1]]
    xs = jnp.pad(xs, ((0, blocks * size - lengths[-1]), (0, 0), (0, 0)))
    us = cell.project(params, xs)
    start = cell.initial_state(xs.shape[1:2], xs.dtype)

    def forward(state: State, u: Any) -> tuple[State, State]:
        return cell.step(params, u, state)[0], state

    _, befores = jax.lax.scan(forward, start, us)
    history = jax.tree.map(lambda a: a.reshape(blocks, size, *a.shape[1:]), (us, befores))

    carry = _Adjoints.none(params, start)
    for low, high, count in _segments(lengths, size):
        carry = carry.widen(count)
        steps = jnp.array(lengths[len(lengths) - count :][::-1], jnp.int32)
        inputs = jax.tree.map(lambda a: a[low:high], history)  # noqa: B023
        body = partial(_backward_block, cell, params, readout, steps)
        index = jnp.arange(low, high, dtype=jnp.int32)
        carry, _ = jax.lax.scan(body, carry, (index, inputs), reverse=True)
    return carry.log10_norms(batch=xs.shape[1])


def _segments(lengths: tuple[int, ...], size: int) -> list[tuple[int, int, int]]:
    """Cuts time into `(first block, end block, active lengths)`, from the end to the start."""
    groups = min(MAX_SEGMENTS, len(lengths))
    firsts = [round(g * len(lengths) / groups) for g in range(groups)]  # shortest of each group
    ends = [-(-lengths[-1] // size)]
    ends += [-(-lengths[i - 1] // size) for i in reversed(firsts[1:])] + [0]
    counts = [len(lengths) - i for i in reversed(firsts)]
    cuts = zip(ends[1:], ends[:-1], counts, strict=True)
    return [(low, high, count) for low, high, count in cuts if low < high or low == 0]


class _Adjoints:
    """Adjoints of the active lengths and the gradients of the weights, each with its exponent.

    `state` leaves `[n, B, H]` times `2 ** exponent[n, B]`; `wh [n, H, kH]` times
    `2 ** wh_exponent[n]`. The longest length comes first.
    """

    def __init__(self, state: Any, exponent: Array, wh: Any, wh_exponent: Array) -> None:
        self.state, self.exponent, self.wh, self.wh_exponent = state, exponent, wh, wh_exponent

    @classmethod
    def none(cls, params: Params, start: State) -> _Adjoints:
        """Of no length yet."""
        state = jax.tree.map(lambda a: jnp.zeros((0, *a.shape), a.dtype), start)
        batch = jax.tree.leaves(start)[0].shape[0]
        recurrent = {name: value for name, value in params.items() if name == "wh"}
        wh = {name: jnp.zeros((0, *w.shape), w.dtype) for name, w in recurrent.items()}
        return cls(state, jnp.zeros((0, batch), jnp.int32), wh, jnp.zeros((0,), jnp.int32))

    def widen(self, count: int) -> _Adjoints:
        """Adds lengths, whose adjoints are zero until their last step is reached."""

        def pad(a: Array, value: int = 0) -> Array:
            width = [(0, count - a.shape[0])] + [(0, 0)] * (a.ndim - 1)
            return jnp.pad(a, width, constant_values=value)

        return _Adjoints(
            jax.tree.map(pad, self.state),
            pad(self.exponent, ZERO_EXPONENT),
            jax.tree.map(pad, self.wh),
            pad(self.wh_exponent, ZERO_EXPONENT),
        )

    def log10_norms(self, batch: int) -> dict[str, Array]:
        """The results of `gradient_norms`, in the order of ascending lengths."""
        parts = self.state._asdict()
        norms = {name: norm(Scaled(part, self.exponent)) for name, part in parts.items()}
        norms = {"state": hypot(*norms.values())} | norms
        result = {name: jnp.mean(log10(value), axis=-1)[::-1] for name, value in norms.items()}
        if self.wh:
            total = log10(norm(Scaled(self.wh["wh"], self.wh_exponent)))[::-1]
            result["wh"] = total - jnp.log10(jnp.asarray(batch, total.dtype))
        return result


jax.tree_util.register_pytree_node(
    _Adjoints,
    lambda a: ((a.state, a.exponent, a.wh, a.wh_exponent), None),
    lambda _, children: _Adjoints(*children),
)


def _backward_block(
    cell: Cell, params: Params, readout: Array, lengths: Array, carry: _Adjoints, inputs: Any
) -> tuple[_Adjoints, None]:
    """A few steps backwards, then the weights' gradient of these steps and a renormalisation."""
    index, (us, befores) = inputs
    ends = index * STEPS_BETWEEN + 1 + jnp.arange(STEPS_BETWEEN, dtype=jnp.int32)

    def body(carry: Any, inputs: Any) -> Any:
        state, exponent = carry
        u, before, end = inputs
        ends_here = lengths == end
        exponent = jnp.where(ends_here[:, None], 0, exponent)
        dy = jnp.where(ends_here[:, None, None], readout, jnp.zeros_like(readout))
        state, d_products = _backward_step(cell, params, u, before, state, dy)
        return (state, exponent), d_products

    start = (carry.state, carry.exponent)
    (state, exponent), d_vs = jax.lax.scan(body, start, (us, befores, ends), reverse=True)

    wh, wh_exponent = carry.wh, carry.wh_exponent
    if wh:
        top = jnp.maximum(wh_exponent, jnp.max(exponent, axis=-1))
        relative = jnp.broadcast_to(exponent - top[:, None], (STEPS_BETWEEN, *exponent.shape))
        d_vs = shift(d_vs, relative)
        new = _weight_gradient(cell, params, us, befores, d_vs)
        wh = {"wh": shift(wh["wh"], wh_exponent - top) + new}
        wh_exponent = top
    state, exponent = normalise(state, exponent)
    return _Adjoints(state, exponent, wh, wh_exponent), None


def _backward_step(
    cell: Cell, params: Params, u: Any, before: State, d_after: Any, dy: Array
) -> tuple[Any, Any]:
    """The adjoints before a step, leaves `[n, B, H]`, and those of its recurrent products."""
    v = cell.recur(params, before)
    if not cell.reset_first:
        _, pull = jax.vjp(lambda v, s: cell.gate(params, u, v, s), v, before)
        d_v, d_before = jax.vmap(pull)((d_after, dy))
        d_products = d_v
    else:
        operand, pull_operand = jax.vjp(lambda v, s: cell.operand(params, u, v, s), v, before)
        w, pull_product = jax.vjp(lambda a: cell.recur_operand(params, a), operand)
        _, pull = jax.vjp(lambda v, w, s: cell.gate(params, u, (v, w), s), v, w, before)
        d_v, d_w, d_before = jax.vmap(pull)((d_after, dy))
        more_v, more_before = jax.vmap(lambda d: pull_operand(pull_product(d)[0]))(d_w)
        d_v, d_before = jax.tree.map(jnp.add, (d_v, d_before), (more_v, more_before))
        d_products = (d_v, d_w)
    if not jax.tree.leaves(d_v):  # no recurrent product: the additive identity
        return d_before, d_products
    _, pull_recur = jax.vjp(lambda s: cell.recur(params, s), before)
    (through,) = jax.vmap(pull_recur)(d_v)
    return jax.tree.map(jnp.add, d_before, through), d_products


def _weight_gradient(cell: Cell, params: Params, us: Any, befores: State, d_products: Any) -> Array:
    """`∂L/∂wh [n, H, kH]` of a few steps, from the adjoints `[steps, n, B, ·]` of the products."""
    rest = {name: value for name, value in params.items() if name != "wh"}

    def products(wh: Array) -> Any:
        params = rest | {"wh": wh}
        v = cell.recur(params, befores)
        if not cell.reset_first:
            return v
        operand = jax.lax.stop_gradient(cell.operand(params, us, v, befores))
        return v, cell.recur_operand(params, operand)

    _, pull = jax.vjp(products, params["wh"])
    return jax.vmap(lambda d: pull(d)[0], in_axes=1)(d_products)
