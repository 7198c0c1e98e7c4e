"""Singular values, norm and determinant of the state Jacobian `∂s_T/∂s_0`, for many T at once."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab import precision
from rnnlab.arrays import Array, Float, Input, Inputs, Int, Params, State
from rnnlab.errors import UsageError
from rnnlab.gradients import jacobi, scaled
from rnnlab.gradients import parts as state_parts
from rnnlab.gradients.scaled import Scaled
from rnnlab.gradients.step_halves import StepHalves, check_measurable, halve_step, prepare
from rnnlab.gradients.tangents import (
    Tangents,
    initial_tangents,
    propagate,
    push_columns,
    random_basis,
    rank_of,
    with_product,
)
from rnnlab.layer import Cell, Layer
from rnnlab.sizes import check_positive


class StateJacobian(NamedTuple):
    """Measurements of `∂s_T/∂s_0`, or a submatrix of it, for n values of T.

    A submatrix `[M, K]`, M units of s_T by K units of s_0, has m = min(M, K) singular values. All
    are base-10 logarithms: -inf for zero, NaN where the state has overflowed by then.

    Attributes:
      lengths: the values of T, int32 `[n]`.
      log10_sigma_max: largest singular value, `[n, *batch]`.
      log10_sigma_min: smallest singular value, `[n, *batch]`.
      log10_singular_values: all, descending, `[n, *batch, m]`.
      log10_frobenius: Frobenius norm, `[n, *batch]`.
      log10_det: sum of all `log10` singular values, which is `log10 |det|` where the submatrix is
        square, `[n, *batch]`.
      log10_qr_diagonal: `Σ_t log10 |r_ii|` of the QR method, `[n, *batch, K]`; divided by T the
        Lyapunov exponents, in decades per step.
    """

    lengths: Int[Array, "n"]
    log10_sigma_max: Float[Array, "n *batch"]
    log10_sigma_min: Float[Array, "n *batch"]
    log10_singular_values: Float[Array, "n *batch m"]
    log10_frobenius: Float[Array, "n *batch"]
    log10_det: Float[Array, "n *batch"]
    log10_qr_diagonal: Float[Array, "n *batch K"]


def state_jacobian(
    cell: Layer,
    params: Params,
    xs: Inputs,
    state: State | None = None,
    *,
    lengths: Sequence[int],
    of: str | None = None,
    wrt: str | None = None,
    every: int = 1,
) -> StateJacobian:
    """Measures `∂s_T/∂s_0` for every T of a list, in one pass over the longest.

    For `∂s_T/∂s_t` give `xs[t:]` and the state `s_t`.

    The largest singular value and the Frobenius norm come from the product of the Jacobians itself.
    All singular values come from the QR method (see `tangents`) and Jacobi rotations of its scaled
    triangular factor (see `jacobi`), so that the smallest is right next to a largest that is
    thousands of decades away. Their error is that of a perturbation of every `J_t` by a few
    `eps ‖J_t‖`: small where the singular directions settle, but visible for defective matrices
    (a Jordan block of size n feels eps^(1/n)).

    Where a step is singular because units have no tangent at all (a dead ReLU), or because a part
    of the state is a function of another (`h' = tanh(c')` without an output gate), the zeros are
    exact. Any other direction that one step shrinks below the rounding of the units it lies in is
    lost in it: each such step counts as a factor of about `eps`.

    Args:
      cell: a cell or a combinator with a state of one time (not bidirectional).
      params: its parameters, float32 or float64.
      xs: inputs `[T_max, *batch, D]`.
      state: the state before the first step; None for `cell.initial_state`.
      lengths: values of T, each within 0..T_max, in any order.
      of: the part of s_T to differentiate, such as "c"; None for the joint state.
      wrt: the part of s_0 to differentiate by; None for the joint state.
      every: steps between two QR factorisations. More than one is faster, and loses the singular
        values smaller than the largest by 1/eps within that many steps.

    Returns:
      The measurements, in the order of `lengths`.

    Raises:
      UsageError: shapes or dtypes that do not fit, NaN or inf, an unknown part, a length that is
        no integer within 0..T_max.
    """
    cell, state = check_measurable(cell, params, xs, state)
    check_positive("every", every)
    wanted = check_times("lengths", lengths, xs.shape[0])
    for argument, part in (("of", of), ("wrt", wrt)):
        state_parts.find(state, part, argument)
    stops, order = np.unique(wanted, return_inverse=True)
    measured = _measure(cell, params, xs, state, jnp.asarray(stops, jnp.int32), of, wrt, every)
    return jax.tree.map(lambda a: a[jnp.asarray(order)], measured)


def check_times(name: str, times: Sequence[int], steps: int) -> list[int]:
    """The times as a list of integers within 0..steps; UsageError otherwise."""
    try:
        values = [operator.index(time) for time in times]
    except TypeError:
        raise UsageError(f"{name}={times!r}: must be a list of integers") from None
    if not values:
        raise UsageError(f"{name}={times!r}: must name at least one number of steps")
    for value in values:
        if not 0 <= value <= steps:
            raise UsageError(f"{name} contains {value}: must lie in 0..{steps}, the T of xs")
    return values


@partial(jax.jit, static_argnums=(0, 5, 6, 7))
def _measure(
    cell: Cell,
    params: Params,
    xs: Inputs,
    state: State,
    stops: Array,
    of: str | None,
    wrt: str | None,
    every: int,
) -> StateJacobian:
    with precision.products():
        prepared = prepare(cell, params, xs, state)
        us = prepared.us
        step = halve_step(prepared.advance, jax.tree.map(lambda a: a[0], us), state)
        rows_of = state_parts.find(state, of, "of")
        columns_of = state_parts.find(state, wrt, "wrt")
        leaves = _closure(step, state, {*rows_of, *columns_of})
        columns = _units(state, leaves, columns_of)
        tangents = initial_tangents(_basis(state, leaves, columns), rank_of(step, state, leaves))
        tangents = with_product(tangents, columns)
        tangents = propagate(step, us, state, tangents, leaves, stops, every)
        return _summarise(tangents, stops, _units(state, leaves, rows_of))


def _closure(step: StepHalves, state: State, wanted: set[int]) -> tuple[int, ...]:
    """The wanted leaves and all that they depend on, directly or not, by whole groups.

    The rest of the state is left out of the tangents: where it grows faster, it would only bury the
    wanted rows of the basis below rounding.
    """
    leaves = set(wanted)
    while True:
        grown = leaves.union(*(step.reads[i] for i in leaves))
        grown = grown.union(*(g for g in state_parts.groups(state) if grown & set(g)))
        if grown == leaves:
            return tuple(sorted(leaves))
        leaves = grown


def _units(state: State, leaves: tuple[int, ...], part: tuple[int, ...]) -> np.ndarray:
    """Places of the units of `part` within the joint state of `leaves`."""
    widths = state_parts.widths(state)
    owner = np.concatenate([np.full(widths[i], i) for i in leaves])
    return np.flatnonzero(np.isin(owner, part))


def _basis(state: State, leaves: tuple[int, ...], columns: np.ndarray) -> Array:
    """Random orthonormal tangents `[*batch, N, K]` within the given units."""
    template = jax.tree.leaves(state)[0]
    size = sum(state_parts.widths(state)[i] for i in leaves)
    basis = jnp.zeros((size, len(columns)), template.dtype)
    basis = basis.at[columns].set(random_basis(len(columns), template.dtype))
    return jnp.broadcast_to(basis, (*template.shape[:-1], *basis.shape))


def _summarise(tangents: Tangents, stops: Array, units: np.ndarray) -> StateJacobian:
    """Turns the factors at all stops into the measurements of the rows `units`."""
    rows, diagonal, plain = tangents.rows, tangents.diagonal, tangents.plain
    assert rows is not None and plain is not None
    submatrix = scaled.normalise(plain.mantissa[..., units], plain.exponent)
    submatrix = scaled.share_exponent(submatrix, submatrix.exponent.ndim - 1)
    sigma_max = jnp.linalg.norm(submatrix.mantissa, ord=2, axis=(-2, -1))
    part = len(units) < tangents.basis.shape[-2]
    if part:
        selected = jnp.linalg.qr(tangents.basis[..., units, :], mode="r")
        rows = scaled.matmul(selected, rows)
    singular = jacobi.singular_values(rows)
    values = jnp.sort(scaled.log10(singular), axis=-1)[..., ::-1]
    return StateJacobian(
        lengths=stops,
        log10_sigma_max=scaled.log10(Scaled(sigma_max, submatrix.exponent)),
        log10_sigma_min=values[..., -1],
        log10_singular_values=values,
        log10_frobenius=scaled.log10(scaled.norm(submatrix)),
        log10_det=scaled.log10_product(singular if part else diagonal),
        log10_qr_diagonal=scaled.log10(diagonal),
    )


def one_step_jacobian(
    cell: Layer, params: Params, x: Input, state: State
) -> Float[Array, "*batch N N"]:
    """The Jacobian `∂s'_i/∂s_j` of one step in the joint state, `[*batch, N, N]`.

    Args:
      cell: a cell or a combinator with a state of one time (not bidirectional).
      params: its parameters, float32 or float64.
      x: one input `[*batch, D]`.
      state: the state before the step.

    Raises:
      UsageError: shapes or dtypes that do not fit, NaN or inf.
    """
    cell, state = check_measurable(cell, params, x[None], state)
    leaves = tuple(range(len(jax.tree.leaves(state))))
    after, push = jax.linearize(lambda s: cell.step(params, x, s)[0], state)
    size = sum(state_parts.widths(state))
    batch_shape = jax.tree.leaves(state)[0].shape[:-1]
    basis = jnp.broadcast_to(jnp.eye(size, dtype=x.dtype), (*batch_shape, size, size))
    return push_columns(push, after, leaves, basis)
