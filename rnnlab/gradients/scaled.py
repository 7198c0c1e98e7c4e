"""Numbers beyond the range of floating point: a mantissa times a power of two.

Gradients through thousands of steps leave the range of every floating type, so every quantity that
runs through time is kept as `mantissa * 2**exponent`, with an int32 exponent. Renormalising
multiplies by exact powers of two: no rounding is added, and the exponents, being integers, add up
without error however long the sequence is. Only the last operation, `log10`, turns both into one
number.

An exact zero has the exponent `ZERO_EXPONENT` and the logarithm -inf, never NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

#: Exponent of an exact zero: below all others, and the difference of two exponents fits in int32.
ZERO_EXPONENT = -(1 << 29)

# log10(2) = _HIGH + _LOW, where _HIGH has 12 bits: see `log10`.
_HIGH = round(math.log10(2) * 2**13) / 2**13
_LOW = math.log10(2) - _HIGH


class Scaled(NamedTuple):
    """The array, or tree of arrays, `mantissa * 2**exponent`.

    Attributes:
      mantissa: tree of arrays `[*axes, ...]`.
      exponent: int32 `[*axes]`, shared by the trailing axes and by all leaves.
    """

    mantissa: Any
    exponent: Array


def power_of_two(exponent: Array, dtype: Any) -> Array:
    """The exact `2**exponent` of that floating type; 0 where it is below the normal range."""
    info = jnp.finfo(dtype)
    bias = int(info.maxexp) - 1
    biased = (jnp.clip(exponent, -bias, bias) + bias).astype(_bits(dtype))
    return jax.lax.bitcast_convert_type(biased << info.nmant, info.dtype)


def exponent_of(magnitude: Array) -> Array:
    """The int32 exponent e of `magnitude = m * 2**e` with m in [1/2, 1), for numbers >= 0.

    Clipped to the powers that are normal numbers; zero and subnormal numbers give the least.
    """
    info = jnp.finfo(magnitude.dtype)
    limit = int(info.maxexp) - 2
    biased = jax.lax.bitcast_convert_type(magnitude, _bits(magnitude.dtype)) >> info.nmant
    return jnp.clip(biased.astype(jnp.int32) - limit, -limit, limit)


def shift(mantissa: Any, exponent: Array) -> Any:
    """The tree `mantissa * 2**exponent`, the exponent shared by the trailing axes."""

    def leaf(a: Array) -> Array:
        return a * _expand(power_of_two(exponent, a.dtype), a.ndim)

    return jax.tree.map(leaf, mantissa)


def normalise(mantissa: Any, exponent: Array) -> Scaled:
    """Moves the magnitude into the exponent: the largest entry is left within [1/2, 1)."""
    peaks = [
        jnp.max(jnp.abs(a), axis=tuple(range(exponent.ndim, a.ndim)), initial=0)
        for a in jax.tree.leaves(mantissa)
    ]
    peak = jax.tree.reduce(jnp.maximum, peaks)
    moved = exponent_of(peak)
    zero = peak == 0
    return Scaled(
        shift(mantissa, jnp.where(zero, 0, -moved)),
        jnp.where(zero, ZERO_EXPONENT, exponent + moved),
    )


def exact(mantissa: Any, ndim: int) -> Scaled:
    """An ordinary tree as a scaled one, with one exponent for each index of `ndim` leading axes."""
    axes = jax.tree.leaves(mantissa)[0].shape[:ndim]
    return normalise(mantissa, jnp.zeros(axes, jnp.int32))


def add(a: Scaled, b: Scaled) -> Scaled:
    """`a + b`: the smaller one is shifted to the larger exponent."""
    top = jnp.maximum(a.exponent, b.exponent)
    total = jax.tree.map(
        jnp.add, shift(a.mantissa, a.exponent - top), shift(b.mantissa, b.exponent - top)
    )
    return normalise(total, top)


def share_exponent(a: Scaled, keep: int = 0) -> Scaled:
    """The same numbers with one exponent, the largest, for all leading axes after `keep`."""
    axes = tuple(range(keep, a.exponent.ndim))
    top = jnp.max(a.exponent, axis=axes, keepdims=True, initial=ZERO_EXPONENT)
    return Scaled(shift(a.mantissa, a.exponent - top), jnp.squeeze(top, axes))


def norm(a: Scaled) -> Scaled:
    """Euclidean norm `[*axes]` of one array over its trailing axes.

    It is normalised first, so that no square is lost to underflow.
    """
    mantissa, exponent = normalise(*a)
    squares = jnp.sum(mantissa**2, axis=tuple(range(exponent.ndim, mantissa.ndim)))
    return normalise(jnp.sqrt(squares), exponent)


def hypot(*numbers: Scaled) -> Scaled:
    """`√(a² + b² + …)` of numbers with an exponent each."""
    top = jax.tree.reduce(jnp.maximum, [a.exponent for a in numbers])
    squares = [shift(a.mantissa, a.exponent - top) ** 2 for a in numbers]
    return normalise(jnp.sqrt(jax.tree.reduce(jnp.add, squares)), top)


def matmul(a: Array, rows: Scaled) -> Scaled:
    """`a @ rows` for an ordinary `a [..., m, n]` and `rows [..., n, k]`, an exponent for each row.

    Terms are aligned row by row of the result, so rows of very different magnitude stay apart.
    """
    entries = normalise(a, jnp.zeros(a.shape, jnp.int32))
    exponent = entries.exponent + rows.exponent[..., None, :]
    top = jnp.maximum(jnp.max(exponent, axis=-1), ZERO_EXPONENT)
    return normalise(shift(entries.mantissa, exponent - top[..., None]) @ rows.mantissa, top)


def lift(a: Scaled) -> Scaled:
    """The same numbers with mantissas near the root of the largest power of two.

    A product with what is far below the range of floating point, such as the slope of a saturated
    unit, may then shrink them that much further. Mantissas are those of `normalise`.
    """

    def leaf(mantissa: Array) -> Array:
        return mantissa * jnp.asarray(2.0 ** _lift(mantissa.dtype), mantissa.dtype)

    up = _lift(jax.tree.leaves(a.mantissa)[0].dtype)
    return Scaled(jax.tree.map(leaf, a.mantissa), a.exponent - up)


def log10(a: Scaled) -> Array:
    """`log10 |a|`, with one exponent for each number; -inf for zero.

    In float32 the plain `exponent * log10(2)` would round three times. The exponent is split into
    its high and low 12 bits and log10(2) into 12 bits and the rest, so that the large products are
    exact and only the last addition rounds: the error is half a unit in the last place.
    """
    return _log10(a.mantissa, a.exponent >> 12, a.exponent & 4095)


def log10_product(a: Scaled) -> Array:
    """`log10` of the product over the last axis of `a [..., n]`, an exponent for each entry.

    High and low bits of the exponents are summed by themselves: their sum may exceed int32.
    """
    mantissa, carry = a.mantissa, jnp.zeros_like(a.exponent)
    while mantissa.shape[-1] > 1:  # in pairs: the mantissas lie in [1/2, 1) and cannot underflow
        if mantissa.shape[-1] % 2:
            width = [(0, 0)] * (mantissa.ndim - 1) + [(0, 1)]
            mantissa = jnp.pad(mantissa, width, constant_values=1)
            carry = jnp.pad(carry, width)
        pairs = carry[..., ::2] + carry[..., 1::2]
        zero = (mantissa[..., ::2] == 0) | (mantissa[..., 1::2] == 0)
        mantissa, moved = normalise(mantissa[..., ::2] * mantissa[..., 1::2], pairs)
        carry = jnp.where(zero, 0, moved)
    high = jnp.sum(a.exponent >> 12, axis=-1, dtype=jnp.int32)
    low = jnp.sum(a.exponent & 4095, axis=-1, dtype=jnp.int32)
    return _log10(mantissa[..., 0], high, low + carry[..., 0])


def _log10(mantissa: Array, high: Array, low: Array) -> Array:
    """`log10 |mantissa * 2**(4096 high + low)|`."""
    dtype = mantissa.dtype
    centred = ((low + 2048) & 4095) - 2048
    high = (high + ((low - centred) >> 12)).astype(dtype) * 4096
    low = centred.astype(dtype)
    rest = (high + low) * jnp.asarray(_LOW, dtype) + jnp.log10(jnp.abs(mantissa))
    top = jnp.asarray(_HIGH, dtype)
    value = high * top + (low * top + rest)
    return jnp.where(mantissa == 0, -jnp.inf, value).astype(dtype)


def _lift(dtype: Any) -> int:
    return int(jnp.finfo(dtype).maxexp) // 2


def _bits(dtype: Any) -> Any:
    return jnp.int64 if jnp.finfo(dtype).bits == 64 else jnp.int32


def _expand(a: Array, ndim: int) -> Array:
    return a.reshape(a.shape + (1,) * (ndim - a.ndim))
