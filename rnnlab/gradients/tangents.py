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
from rnnlab.gradients.scaled import Scaled


class Tangents(NamedTuple):
    """`∂s_t/∂s_0` times the initial basis, in factors.

    Attributes:
      basis: orthonormal columns Q `[*batch, N, k]`.
      diagonal: product of `|r_ii|`, with an exponent each `[*batch, k]`.
      rows: product of the R, `[*batch, k, k]` with an exponent for each row; None if not wanted.
      plain: the columns of `∂s_t/∂s_0` `[*batch, k, N]`, an exponent for each; None if not wanted.
    """

    basis: Array
    diagonal: Scaled
    rows: Scaled | None = None
    plain: Scaled | None = None


def random_basis(count: int, dtype: Any) -> Array:
    """A random orthogonal `[count, count]`, always the same one."""
    draw = np.random.default_rng(0).normal(size=(count, count))
    return jnp.asarray(np.linalg.qr(draw)[0], dtype)


def initial_tangents(basis: Array) -> Tangents:
    """Tangents before the first step, from an orthonormal basis `[*batch, N, k]`."""
    axes = (*basis.shape[:-2], basis.shape[-1])
    return Tangents(basis, scaled.exact(jnp.ones(axes, basis.dtype), len(axes)))


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
    advance: Callable[[Any, State], State],
    us: Any,
    state: State,
    tangents: Tangents,
    leaves: tuple[int, ...],
    stops: Array,
    every: int,
) -> Tangents:
    """Carries tangents along and returns them at each of the increasing times `stops [n]`.

    Args:
      advance: one step, `(u, s) -> s'`.
      us: projected inputs `[T, *batch, …]`.
      state: `s_0`.
      tangents: what to carry; columns over the joint state of `leaves`.
      leaves: indices of the leaves of the state that the tangents span; others stay at zero.
      stops: int32 numbers of steps, each within 0..T.
      every: number of steps between two QR factorisations; one is also made at each stop.

    Returns:
      The tangents with a new leading axis `[n, …]`.
    """

    def segment(carry: Any, bounds: Any) -> Any:
        start, stop = bounds

        def body(t: Array, carry: tuple[State, Tangents]) -> tuple[State, Tangents]:
            state, tangents = carry
            u = jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, t, keepdims=False), us)
            state, push = jax.linearize(lambda s: advance(u, s), state)
            tangents = _advance(lambda q: push_columns(push, state, leaves, q), tangents)
            if every == 1:
                return state, _factor(tangents)
            due = ((t + 1) % every == 0) | (t + 1 == stop)
            return state, jax.lax.cond(due, _factor, lambda same: same, tangents)

        carry = jax.lax.fori_loop(start, stop, body, carry)
        return carry, carry[1]

    starts = jnp.concatenate([jnp.zeros_like(stops[:1]), stops[:-1]])
    return jax.lax.scan(segment, (state, tangents), (starts, stops))[1]


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


def _advance(push: Callable[[Array], Array], tangents: Tangents) -> Tangents:
    """Pushes the basis and the plain columns, which are renormalised."""
    if tangents.plain is None:
        return tangents._replace(basis=push(tangents.basis))
    columns = jnp.swapaxes(tangents.plain.mantissa, -1, -2)
    both = push(jnp.concatenate([tangents.basis, columns], axis=-1))
    basis, columns = jnp.split(both, 2, axis=-1)
    plain = scaled.normalise(jnp.swapaxes(columns, -1, -2), tangents.plain.exponent)
    return tangents._replace(basis=basis, plain=plain)


def _factor(tangents: Tangents) -> Tangents:
    """Replaces the columns by an orthonormal basis and moves their R into the product.

    Units without a tangent (a dead ReLU, a saturated tanh) bound the rank. Then the last rows of R
    are zero, which rounding would turn into about `eps`.
    """
    basis, r = jnp.linalg.qr(tangents.basis)
    rank = jnp.sum(jnp.any(tangents.basis != 0, axis=-1), axis=-1)[..., None, None]
    r = jnp.where(jnp.arange(r.shape[-1])[:, None] < rank, r, jnp.zeros_like(r))
    diagonal = scaled.normalise(
        tangents.diagonal.mantissa * jnp.abs(jnp.diagonal(r, axis1=-2, axis2=-1)),
        tangents.diagonal.exponent,
    )
    rows = None if tangents.rows is None else scaled.matmul(r, tangents.rows)
    return tangents._replace(basis=basis, diagonal=diagonal, rows=rows)
