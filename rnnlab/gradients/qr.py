"""QR factorisation at every step of a trajectory, in products of XLA's own.

On the CPU, LAPACK's threads and those of XLA get into each other's way: on two cores the factors
of a 128 × 128 matrix took 40 ms within a loop. Only panels of a few columns are left to LAPACK
here, which are too small for it to start threads; they are put together as block reflectors

    H_1 … H_b = I - V T Vᵀ,    T = (I + diag(τ) striu(VᵀV))⁻¹ diag(τ).

Rows are factored from the largest down. The error of each row is then small against that row, not
only against the whole matrix (Cox and Higham 1998, "Stability of Householder QR factorization for
weighted least squares problems"), so that units with a slope of 1e-30 keep their digits beside
others.

Source of the block form: Schreiber and Van Loan 1989, "A storage-efficient WY representation for
products of Householder transformations".
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array

#: Columns of a panel.
PANEL = 16
#: Columns up to which panels are faster than LAPACK with its threads.
MOST_COLUMNS = 256


def qr(a: Array) -> tuple[Array, Array]:
    """`a = q @ r` for `a [..., n, k]`, n >= k.

    Returns:
      The orthonormal columns `[..., n, k]`, and the upper triangle `[..., k, k]`.
    """
    order = jnp.argsort(-jnp.max(jnp.abs(a), axis=-1), axis=-1)
    ordered = jnp.take_along_axis(a, order[..., None], axis=-2)
    if a.shape[-1] > MOST_COLUMNS:
        q, r = jnp.linalg.qr(ordered)
    else:
        q, r = jax.lax.platform_dependent(ordered, cpu=_by_panels, default=_whole)
    return jnp.take_along_axis(q, jnp.argsort(order, axis=-1)[..., None], axis=-2), r


def _whole(a: Array) -> tuple[Array, Array]:
    q, r = jnp.linalg.qr(a)
    return q, r


def _by_panels(a: Array) -> tuple[Array, Array]:
    columns = a.shape[-1]
    reflectors, rows = [], []
    for start in range(0, columns, PANEL):
        width = min(PANEL, columns - start)
        v, t, top = _panel(a[..., :width])
        rest = a[..., width:]
        rest = rest - v @ (t.mT @ (v.mT @ rest))
        row = jnp.concatenate([top, rest[..., :width, :]], axis=-1)
        rows.append(jnp.pad(row, [(0, 0)] * (row.ndim - 1) + [(start, 0)]))
        reflectors.append((v, t))
        a = rest[..., width:, :]
    q = jnp.zeros((*a.shape[:-1], 0), a.dtype)
    for v, t in reversed(reflectors):
        width = v.shape[-1]
        q = jnp.pad(q, [(0, 0)] * (q.ndim - 2) + [(width, 0)] * 2)
        q = q + jnp.eye(*q.shape[-2:], dtype=q.dtype).at[width:].set(0)
        q = q - v @ (t @ (v.mT @ q))
    return q, jnp.concatenate(rows, axis=-2)


def _panel(a: Array) -> tuple[Array, Array, Array]:
    """Householder vectors V `[n, b]`, T `[b, b]` and the triangle `[b, b]` of a few columns."""
    height, width = a.shape[-2:]
    packed, tau = jnp.linalg.qr(a, mode="raw")
    packed = packed.mT
    unit = jnp.eye(height, width, dtype=a.dtype)
    v = jnp.tril(packed, -1) + unit
    square = jnp.eye(width, dtype=a.dtype)
    t = jax.lax.linalg.triangular_solve(
        square + tau[..., None] * jnp.triu(v.mT @ v, 1),
        tau[..., None] * square,
        left_side=True,
        unit_diagonal=True,
    )
    return v, t, jnp.triu(packed[..., :width, :])
