"""Lyapunov exponents along a trajectory, by the QR method (see `tangents`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab import precision
from rnnlab.arrays import Array, Float, Inputs, Int, Params, State
from rnnlab.errors import UsageError
from rnnlab.gradients import parts as state_parts
from rnnlab.gradients import scaled
from rnnlab.gradients.jacobian import check_times
from rnnlab.gradients.scaled import Scaled
from rnnlab.gradients.step_halves import check_measurable, halve_step, prepare
from rnnlab.gradients.tangents import initial_tangents, propagate, random_basis, rank_of
from rnnlab.layer import Cell, Layer
from rnnlab.sizes import as_integer, check_positive


class LyapunovExponents(NamedTuple):
    """Exponents in nats per step, in descending order.

    Attributes:
      exponents: estimate over all steps after the discarded ones, `[*batch, count]`; -inf for a
        direction in which nothing is left of a perturbation, NaN where the state has overflowed.
      steps: where the running estimate was read, int32 `[n]`.
      running: the estimate over the steps from `discard` to each of them, `[n, *batch, count]`.
    """

    exponents: Float[Array, "*batch count"]
    steps: Int[Array, "n"]
    running: Float[Array, "n *batch count"]


def lyapunov_exponents(
    cell: Layer,
    params: Params,
    xs: Inputs,
    state: State | None = None,
    *,
    count: int | None = None,
    discard: int = 0,
    records: Sequence[int] | None = None,
    every: int = 1,
) -> LyapunovExponents:
    """Measures `λ_i = lim_T (1/T) Σ_t ln |r_ii(t)|` of the joint state, and its convergence.

    Source: Benettin et al. 1980, "Lyapunov characteristic exponents for smooth dynamical systems
    and for Hamiltonian systems; a method for computing all of them", parts 1 and 2.

    Args:
      cell: a cell or a combinator with a state of one time (not bidirectional).
      params: its parameters, float32 or float64.
      xs: inputs `[T, *batch, D]`.
      state: the state before the first step; None for `cell.initial_state`.
      count: number of exponents, the largest ones; None for the whole spectrum.
      discard: first steps, which bring state and tangents onto the attractor and do not count.
      records: steps at which to read the running estimate; None for 50 (or all) evenly spaced.
      every: steps between two QR factorisations. More than one is faster, and loses exponents that
        lie below the largest by more than `-ln eps` within that many steps.

    Returns:
      The exponents, and their running estimate.

    Raises:
      UsageError: as for `state_jacobian`; `count` beyond the size of the state; `discard` not
        within 0..T-1; a record that is not after `discard`.
    """
    cell, state = check_measurable(cell, params, xs, state)
    check_positive("every", every)
    size, steps = sum(state_parts.widths(state)), xs.shape[0]
    count = size if count is None else count
    check_positive("count", count)
    if count > size:
        raise UsageError(f"count={count}: the joint state has {size} units and as many exponents")
    if as_integer(discard) is None or not 0 <= discard < steps:
        raise UsageError(f"discard={discard!r}: must lie in 0..{steps - 1}, below the T of xs")
    if records is None:
        evenly = np.linspace(discard, steps, min(50, steps - discard) + 1)[1:]
        records = [round(float(time)) for time in evenly]
    times = check_times("records", records, steps)
    if min(times) <= discard:
        raise UsageError(f"records contains {min(times)}: must lie after discard={discard}")
    stops = np.unique([discard, *times, steps])
    logs = _log_growth(cell, params, xs, state, jnp.asarray(stops, jnp.int32), count, every)
    wanted = jnp.asarray(np.searchsorted(stops, times) - 1)
    return LyapunovExponents(logs[-1], jnp.asarray(stops[1:], jnp.int32)[wanted], logs[wanted])


@partial(jax.jit, static_argnums=(0, 5, 6))
def _log_growth(
    cell: Cell, params: Params, xs: Inputs, state: State, stops: Array, count: int, every: int
) -> Array:
    """Growth per step in nats since the first stop, sorted, for each later one."""
    with precision.products():
        leaves = tuple(range(len(jax.tree.leaves(state))))
        batch_shape = jax.tree.leaves(state)[0].shape[:-1]
        basis = random_basis(sum(state_parts.widths(state)), xs.dtype)[:, :count]
        basis = jnp.broadcast_to(basis, (*batch_shape, *basis.shape))
        prepared = prepare(cell, params, xs, state)
        step = halve_step(prepared.advance, jax.tree.map(lambda a: a[0], prepared.us), state)
        tangents = initial_tangents(basis, rank_of(step, state, leaves))
        tangents = propagate(step, prepared.us, state, tangents, leaves, stops, every)
    elapsed = (stops[1:] - stops[0]).astype(xs.dtype)
    nats = scaled.log10(_since_first(tangents.diagonal)) * jnp.asarray(math.log(10), xs.dtype)
    rates = nats / elapsed.reshape(-1, *(1,) * (nats.ndim - 1))
    return -jnp.sort(-rates, axis=-1)  # NaN comes last, too


def _since_first(product: Scaled) -> Scaled:
    """The factors `[n-1, ...]` since the first of n times; zero where it was zero already then."""
    mantissa, exponent = product
    lost = mantissa[0] == 0
    ratio = mantissa[1:] / jnp.where(lost, 1, mantissa[0])
    return Scaled(jnp.where(lost, 0, ratio), exponent[1:] - exponent[0])
