"""Singular values over thousands of orders of magnitude: one-sided Jacobi rotations on scaled rows.

A product of many Jacobians has singular values that no single floating point number can hold next
to each other. As a triangular factor with an exponent for each row it can be stored, and the
one-sided Jacobi method finds each singular value, however small it is against the largest, to the
accuracy that the condition of the rows, scaled to length one, allows (Demmel & Veselić 1992,
"Jacobi's method is more accurate than QR", section 4).

Two rows P, Q, of which Q is the shorter one, are rotated until they are orthogonal. With
P = 2**e_p p, Q = 2**e_q q and δ = 2**(e_q - e_p), the tangent of the angle is δτ:

    τ = 2γ / (Δ + √(Δ² + 4δ²γ²)),   γ = p·q,   Δ = p·p - δ² q·q,   c = 1/√(1 + δ²τ²)
    p ← c (p + δ²τ q),   q ← c (q - τ p)

Nothing overflows, and where δ underflows the limit is right: Q loses its part along P.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array
from rnnlab.gradients import scaled
from rnnlab.gradients.scaled import Scaled

#: Limit of the sweeps over all pairs of rows; five to ten are the rule.
MAX_SWEEPS = 40


def singular_values(rows: Scaled) -> Scaled:
    """Singular values of a matrix, in no order.

    Args:
      rows: mantissa `[..., m, k]` and an exponent for each row `[..., m]`, m <= k.

    Returns:
      `[..., m]`, with an exponent each.
    """
    count = rows.exponent.shape[-1]
    mantissa, exponent = _precondition(rows)
    rows = Scaled(jnp.moveaxis(mantissa, -2, 0), jnp.moveaxis(exponent, -1, 0))
    if count % 2:  # a row of zeros, so that all can be paired
        rows = jax.tree.map(lambda a: jnp.concatenate([a, jnp.zeros_like(a[:1])]), rows)
        rows = scaled.normalise(*rows)
    tolerance = count * float(jnp.finfo(rows.mantissa.dtype).eps)

    def unfinished(carry: tuple[Scaled, Array, Array]) -> Array:
        _, cosine, sweeps = carry
        return (cosine > tolerance) & (sweeps < MAX_SWEEPS)

    def sweep(carry: tuple[Scaled, Array, Array]) -> tuple[Scaled, Array, Array]:
        rows, cosine, sweeps = carry
        start = (rows, jnp.zeros_like(cosine))
        rows, cosine = jax.lax.fori_loop(0, rows.exponent.shape[0] - 1, _round, start)
        return rows, cosine, sweeps + 1

    start = (rows, jnp.ones((), rows.mantissa.dtype), jnp.zeros((), jnp.int32))
    rows = jax.lax.while_loop(unfinished, sweep, start)[0]
    return jax.tree.map(lambda a: jnp.moveaxis(a[:count], 0, -1), scaled.norm(rows))


def _precondition(rows: Scaled) -> Scaled:
    """Rows `[..., m, m]` of the same singular values that are closer to orthogonal.

    For `rows = 2**e M` and the QR factors of `Mᵀ = Q S` they are those of `S 2**e` (Drmač & Veselić
    2008, "New fast and accurate Jacobi SVD algorithm I").
    """
    s = jnp.linalg.qr(jnp.swapaxes(rows.mantissa, -1, -2), mode="r")
    unit = jnp.broadcast_to(jnp.eye(s.shape[-1], dtype=s.dtype), s.shape)
    return scaled.matmul(s, Scaled(unit, rows.exponent))


def _round(_: Array, carry: tuple[Scaled, Array]) -> tuple[Scaled, Array]:
    """Rotates row i against row n-1-i for all i at once, then moves on all rows but the first.

    As in a tournament, every pair has met after n-1 rounds, and the rows are back in their places.
    """
    rows, cosine = carry
    half = rows.exponent.shape[0] // 2
    first, second, cosines = _rotate(
        jax.tree.map(lambda a: a[:half], rows), jax.tree.map(lambda a: a[half:][::-1], rows)
    )
    rows = jax.tree.map(
        lambda a, b: jnp.concatenate([a[:1], b[:1], a[1:], b[1:][::-1]]), first, second
    )
    return scaled.normalise(*rows), jnp.maximum(cosine, jnp.max(cosines, initial=0))


def _rotate(a: Scaled, b: Scaled) -> tuple[Scaled, Scaled, Array]:
    """Makes rows `[n, ..., k]` of a and b orthogonal in pairs; also their cosines `[n, ...]`."""
    dtype = a.mantissa.dtype
    gap = jnp.clip(b.exponent - a.exponent, -32, 32)
    longer = _dot(b, b) * scaled.power_of_two(2 * gap, dtype) > _dot(a, a)
    p, q = _select(longer, b, a), _select(longer, a, b)
    delta = scaled.power_of_two(q.exponent - p.exponent, dtype)
    alpha, beta, gamma = _dot(p, p), _dot(q, q), _dot(p, q)
    # The longer row is p, so that a negative difference is rounding.
    difference = jnp.maximum(alpha - delta**2 * beta, 0)
    denominator = difference + jnp.sqrt(difference**2 + 4 * (delta * gamma) ** 2)
    tau = jnp.where(denominator > 0, 2 * gamma / jnp.where(denominator > 0, denominator, 1), 0)
    c = jax.lax.rsqrt(1 + (delta * tau) ** 2)
    rotated_p = c[..., None] * (p.mantissa + (delta**2 * tau)[..., None] * q.mantissa)
    rotated_q = c[..., None] * (q.mantissa - tau[..., None] * p.mantissa)
    lengths = jnp.sqrt(alpha) * jnp.sqrt(beta)
    cosine = jnp.where(lengths > 0, jnp.abs(gamma) / jnp.where(lengths > 0, lengths, 1), 0)
    p, q = Scaled(rotated_p, p.exponent), Scaled(rotated_q, q.exponent)
    return _select(longer, q, p), _select(longer, p, q), cosine


def _dot(a: Scaled, b: Scaled) -> Array:
    return jnp.sum(a.mantissa * b.mantissa, axis=-1)


def _select(flag: Array, yes: Scaled, no: Scaled) -> Scaled:
    return Scaled(
        jnp.where(flag[..., None], yes.mantissa, no.mantissa),
        jnp.where(flag, yes.exponent, no.exponent),
    )
