"""Tangents carried along a trajectory by repeated QR factorisation.

Start from an orthonormal basis `Q_0` and factor at every step

    J_t Q_t = Q_{t+1} R_{t+1},    J_t = ∂s_{t+1}/∂s_t,

so that `J_{T-1} … J_0 Q_0 = Q_T R_T … R_1` (Benettin et al. 1980, "Lyapunov characteristic
exponents for smooth dynamical systems", part 2). The product of the R is triangular; it is kept as
rows with an exponent each, because its rows separate by thousands of orders of magnitude. With a
random `Q_0` they do so in descending order, and no row is lost behind a longer one.

Beside them run the plain columns `J_{t-1} … J_0`, each with an exponent: they all turn towards the
largest growth and forget the rest, but no rotation mixes what the Jacobians keep apart. Norms are
read from them: rounding within a rotation perturbs a defective matrix (a Jordan block of size n)
like eps^(1/n), which over thousands of steps would be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, State
from rnnlab.gradients import parts as state_parts
from rnnlab.gradients import scaled
from rnnlab.gradients.qr import qr
from rnnlab.gradients.scaled import Scaled
from rnnlab.gradients.step_halves import StepHalves, is_finite


class Tangents(NamedTuple):
    """`∂s_t/∂s_0` times the initial basis, in factors.

    Attributes:
      basis: columns `[*batch, N, k]`, orthonormal where they have just been factored.
      exponent: of each column since then `[*batch, k]`.
      rank: bound of the rank of `∂s_t/∂s_0`, int32 `[*batch]`.
      known: whether the Jacobians are those of finite states, or do not depend on it, `[*batch]`.
      diagonal: product of `|r_ii|`, with an exponent each `[*batch, k]`.
      rows: product of the R, `[*batch, k, k]` with an exponent for each row; None if not wanted.
      plain: the columns of `∂s_t/∂s_0` `[*batch, k, N]`, an exponent for each; None if not wanted.
    """

    basis: Array
    exponent: Array
    rank: Array
    known: Array
    diagonal: Scaled
    rows: Scaled | None = None
    plain: Scaled | None = None


def random_basis(count: int, dtype: Any) -> Array:
    """A random orthogonal `[count, count]`, always the same one."""
    draw = np.random.default_rng(0).normal(size=(count, count))
    return jnp.asarray(np.linalg.qr(draw)[0], dtype)


def initial_tangents(basis: Array, rank: int) -> Tangents:
    """Tangents before the first step, from an orthonormal basis `[*batch, N, k]`.

    Args:
      basis: the columns.
      rank: no Jacobian of a step has a larger one; see `rank_of`.
    """
    axes = (*basis.shape[:-2], basis.shape[-1])
    return Tangents(
        basis,
        exponent=jnp.zeros(axes, jnp.int32),
        rank=jnp.full(axes[:-1], rank, jnp.int32),
        known=jnp.ones(axes[:-1], bool),
        diagonal=scaled.exact(jnp.ones(axes, basis.dtype), len(axes)),
    )


def rank_of(step: StepHalves, state: State, leaves: tuple[int, ...]) -> int:
    """The largest rank that `∂s'/∂s` of these leaves can have, whatever the weights.

    A leaf of the whole state that follows from others (`h' = tanh(c')`) adds nothing to it, nor
    does one of `s` that is not read.
    """
    widths = state_parts.widths(state)
    whole = len(leaves) == len(widths)
    read = frozenset().union(*(step.reads[i] for i in leaves))
    return min(
        sum(widths[i] for i in leaves if not (whole and step.follows[i])),
        sum(widths[i] for i in leaves if i in read),
    )


def with_product(tangents: Tangents, columns: np.ndarray) -> Tangents:
    """Adds the two forms of the product: that of the R, and the plain columns of these units."""
    *batch_shape, size, count = tangents.basis.shape
    dtype, axes = tangents.basis.dtype, len(batch_shape) + 1

    def unit_rows(width: int, places: np.ndarray) -> Scaled:
        rows = jnp.eye(width, dtype=dtype)[places]
        return scaled.exact(jnp.broadcast_to(rows, (*batch_shape, *rows.shape)), axes)

    return tangents._replace(
        rows=unit_rows(count, np.arange(count)), plain=unit_rows(size, columns)
    )


def propagate(
    step: StepHalves,
    us: Any,
    state: State,
    tangents: Tangents,
    leaves: tuple[int, ...],
    stops: Array,
    every: int,
) -> Tangents:
    """Carries tangents along and returns them at each of the increasing times `stops [n]`.

    Args:
      step: one step, from the projected input.
      us: projected inputs `[T, *batch, …]`.
      state: `s_0`.
      tangents: what to carry; columns over the joint state of `leaves`.
      leaves: indices of the leaves of the state that the tangents span; others stay at zero.
      stops: int32 numbers of steps, each within 0..T.
      every: number of steps between two QR factorisations; one is also made at each stop. In
        between each column has an exponent of its own.

    Returns:
      The tangents with a new leading axis `[n, …]`; NaN where the state has overflowed.
    """

    def segment(carry: Any, bounds: Any) -> Any:
        start, stop = bounds

        def body(t: Array, carry: tuple[State, Tangents]) -> tuple[State, Tangents]:
            state, tangents = carry
            u = jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, t, keepdims=False), us)
            if step.curved:
                tangents = tangents._replace(known=tangents.known & is_finite(state))
            state, push = jax.linearize(lambda s: step.advance(u, s), state)
            tangents = _advance(lambda q: push_columns(push, state, leaves, q), tangents)
            if every == 1:
                return state, _factor(tangents)
            due = ((t + 1) % every == 0) | (t + 1 == stop)
            return state, jax.lax.cond(due, _factor, lambda same: same, tangents)

        carry = jax.lax.fori_loop(start, stop, body, carry)
        return carry, carry[1]

    starts = jnp.concatenate([jnp.zeros_like(stops[:1]), stops[:-1]])
    return _unless_overflowed(jax.lax.scan(segment, (state, tangents), (starts, stops))[1])


def push_columns(
    push: Callable[[State], State], state: State, leaves: tuple[int, ...], basis: Array
) -> Array:
    """`J Q` for the joint state of `leaves`: all columns at once, as one more axis of the batch."""
    templates, treedef = jax.tree.flatten(state)
    columns = jnp.moveaxis(basis, -1, 0)
    pieces = state_parts.split(columns, tuple(templates[i].shape[-1] for i in leaves))
    tangent = [jnp.zeros((columns.shape[0], *a.shape), a.dtype) for a in templates]
    for i, piece in zip(leaves, pieces, strict=True):
        tangent[i] = piece
    pushed = jax.tree.leaves(jax.vmap(push)(jax.tree.unflatten(treedef, tangent)))
    return jnp.moveaxis(state_parts.joint([pushed[i] for i in leaves]), 0, -1)


def _unless_overflowed(tangents: Tangents) -> Tangents:
    """NaN for products of Jacobians at states that are not finite."""

    def checked(product: Scaled | None) -> Scaled | None:
        if product is None:
            return None
        mantissa = product.mantissa
        flag = tangents.known[(..., *(None,) * (mantissa.ndim - tangents.known.ndim))]
        return Scaled(jnp.where(flag, mantissa, jnp.nan), product.exponent)

    diagonal, rows, plain = map(checked, (tangents.diagonal, tangents.rows, tangents.plain))
    assert diagonal is not None
    return tangents._replace(diagonal=diagonal, rows=rows, plain=plain)


def _advance(push: Callable[[Array], Array], tangents: Tangents) -> Tangents:
    """Pushes the basis and the plain columns, which are renormalised."""
    count = tangents.exponent.shape[-1]
    columns = Scaled(jnp.swapaxes(tangents.basis, -1, -2), tangents.exponent)
    if tangents.plain is not None:
        columns = Scaled(
            jnp.concatenate([columns.mantissa, tangents.plain.mantissa], axis=-2),
            jnp.concatenate([columns.exponent, tangents.plain.exponent], axis=-1),
        )
    lifted = scaled.lift(columns)
    pushed = push(jnp.swapaxes(lifted.mantissa, -1, -2))
    mantissa, exponent = scaled.normalise(jnp.swapaxes(pushed, -1, -2), lifted.exponent)
    basis = jnp.swapaxes(mantissa[..., :count, :], -1, -2)
    alive = jnp.sum(jnp.any(basis != 0, axis=-1), axis=-1, dtype=jnp.int32)
    if tangents.plain is not None:
        plain = Scaled(mantissa[..., count:, :], exponent[..., count:])
        tangents = tangents._replace(plain=plain)
    return tangents._replace(
        basis=basis, exponent=exponent[..., :count], rank=jnp.minimum(tangents.rank, alive)
    )


def _factor(tangents: Tangents) -> Tangents:
    """Replaces the columns by an orthonormal basis and moves their R into the product.

    Units without a tangent (a dead ReLU) bound the rank. Then the last rows of R are zero, which
    rounding would turn into about `eps`.
    """
    basis, r = qr(tangents.basis)
    lost = jnp.arange(r.shape[-1], dtype=jnp.int32) >= tangents.rank[..., None]
    r = jnp.where(lost[..., None], jnp.zeros_like(r), r)
    diagonal, exponent = tangents.diagonal, tangents.exponent
    diagonal = scaled.normalise(
        diagonal.mantissa * jnp.abs(jnp.diagonal(r, axis1=-2, axis2=-1)),
        diagonal.exponent + exponent,
    )
    rows = tangents.rows
    if rows is not None:
        rows = scaled.matmul(r, Scaled(rows.mantissa, rows.exponent + exponent))
    return tangents._replace(
        basis=basis, exponent=jnp.zeros_like(exponent), diagonal=diagonal, rows=rows
    )
