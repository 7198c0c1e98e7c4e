"""Products of a weight and a batch in columns."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array


def dot(a: Array, b: Array, dtype: Any) -> Array:
    """`a @ b` of operands in the narrower of their dtypes, accumulated in `dtype`."""
    narrow = min(a.dtype, b.dtype, key=lambda each: each.itemsize)
    a, b = a.astype(narrow), b.astype(narrow)
    if narrow == dtype:
        return a @ b
    return jax.lax.platform_dependent(  # XLA:CPU has no such product of 16-bit floats
        a,
        b,
        cpu=lambda a, b: a.astype(dtype) @ b.astype(dtype),
        default=partial(jnp.matmul, preferred_element_type=dtype),
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def product(w: Array, x: Array, dtype: Any) -> Array:
    """`w @ x`, whose derivative with respect to `x` lays out `wᵀ` first."""
    return dot(w, x, dtype)


def _forward(w: Array, x: Array, dtype: Any) -> Any:
    return dot(w, x, dtype), (w, x)


def _backward(dtype: Any, residuals: Any, dz: Array) -> Any:
    w, x = residuals
    d_w = dot(dz.astype(w.dtype), x.T, dtype).astype(w.dtype)
    d_x = dot(jax.lax.optimization_barrier(w.T), dz, dtype)
    return d_w, d_x


product.defvjp(_forward, _backward)
