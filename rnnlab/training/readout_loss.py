"""The cross-entropy of readouts over a large vocabulary, whose logits never are all in memory.

The logits `[N, V]` of a batch of sentences are larger than anything else in its update, and larger
than the caches: what they cost is fresh memory, and how often they are read and written. Here a
block of rows at a time has its logits, its loss and the gradient of its logits, which is multiplied
with weights and readouts while it is in the cache. That needs to know in the forward pass with
which weight each row enters the loss, so that it is a sum over rows, and not the rows themselves.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int

#: Bytes of the logits of a block of rows, which are to stay in a cache.
BLOCK_BYTES = 5.5 * 2**20


class _Rows(NamedTuple):
    """Rows of readouts `[N, R]`, with the target and the weight of each, `[N]`."""

    readouts: Array
    targets: Array
    weights: Array


def total_cross_entropy(
    readouts: Float[Array, "N R"],
    matrix: Float[Array, "V R"],
    bias: Float[Array, "V"],
    targets: Int[Array, "N"],
    weights: Float[Array, "N"],
    smoothing: float = 0.0,
) -> Float[Array, ""]:
    """`Σ_i w_i l_i` with the cross-entropy `l_i` in nats of the logits `W r_i + b`.

    With smoothing ε that is to `(1 - ε) e_t + ε / V`, as in `cross_entropy`. Rows that weigh
    nothing, those of padding, cost next to nothing.

    Args:
        readouts: r, a row for each symbol.
        matrix: W.
        bias: b.
        targets: class t of each row, in 0 .. V - 1.
        weights: w of each row, such as 1 / N for the mean; constants for derivatives.
        smoothing: ε, in 0 .. 1.
    """
    rows = _Rows(readouts, jnp.asarray(targets), jax.lax.stop_gradient(weights))
    return _total(smoothing, matrix, bias, rows)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _total(smoothing: float, matrix: Array, bias: Array, rows: _Rows) -> Array:
    rows, size, count, _ = _ordered(rows, len(bias))

    def block(place: Array, total: Array) -> Array:
        return total + _losses(smoothing, matrix, bias, _block(rows, place, size))[0]

    return jax.lax.fori_loop(0, count, block, jnp.zeros((), matrix.dtype))


def _forward(smoothing: float, matrix: Array, bias: Array, rows: _Rows) -> tuple[Array, Any]:
    rows, size, count, places = _ordered(rows, len(bias))
    wide = np.promote_types(matrix.dtype, np.float32)

    def block(place: Array, sums: tuple[Array, ...]) -> tuple[Array, ...]:
        total, d_matrix, d_bias, d_readouts = sums
        part = _block(rows, place, size)
        more, d_logits = _losses(smoothing, matrix, bias, part)
        return (
            total + more,
            d_matrix + jnp.matmul(d_logits.T, part.readouts, preferred_element_type=wide),
            d_bias + d_logits.sum(axis=0, dtype=wide),
            jax.lax.dynamic_update_slice_in_dim(d_readouts, d_logits @ matrix, place * size, 0),
        )

    zeros = (
        jnp.zeros((), matrix.dtype),
        jnp.zeros(matrix.shape, wide),
        jnp.zeros(bias.shape, wide),
        jnp.zeros_like(rows.readouts),
    )
    total, d_matrix, d_bias, d_readouts = jax.lax.fori_loop(0, count, block, zeros)
    kept = d_matrix.astype(matrix.dtype), d_bias.astype(bias.dtype), d_readouts[places]
    return total, kept


def _backward(smoothing: float, kept: Any, d_total: Array) -> Any:
    del smoothing
    d_matrix, d_bias, d_readouts = (d_total * a for a in kept)
    return d_matrix, d_bias, _Rows(d_readouts, None, None)  # pyright: ignore


_total.defvjp(_forward, _backward)


def _ordered(rows: _Rows, classes: int) -> tuple[_Rows, int, Array, Array]:
    """The rows in blocks, those without weight last.

    Returns:
        The rows, padded to a multiple of the size of a block; that size; how many blocks have a row
        that weighs something, `[]`; and where each row went, `[N]`.
    """
    number = len(rows.weights)
    blocks = max(1, math.ceil(number * classes * rows.readouts.dtype.itemsize / BLOCK_BYTES))
    size = -(-number // blocks)
    weighs = rows.weights != 0
    order = jnp.argsort(~weighs, stable=True)
    count = (weighs.sum(dtype=jnp.int32) + (size - 1)) // size

    def arranged(a: Array) -> Array:
        return jnp.pad(a[order], [(0, blocks * size - number)] + [(0, 0)] * (a.ndim - 1))

    return jax.tree.map(arranged, rows), size, count, jnp.argsort(order)


def _block(rows: _Rows, place: Array, size: int) -> _Rows:
    return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, place * size, size), rows)


def _losses(smoothing: float, matrix: Array, bias: Array, rows: _Rows) -> tuple[Array, Array]:
    """The weighted cross-entropy of rows `[]`, and its derivative by their logits `[n, V]`."""
    logits = rows.readouts @ matrix.T + bias
    largest = logits.max(axis=-1, keepdims=True)
    exponentials = jnp.exp(logits - largest)
    total = exponentials.sum(axis=-1, keepdims=True)
    wanted = jnp.take_along_axis(logits, rows.targets[:, None], axis=-1)
    if smoothing:
        wanted = (1 - smoothing) * wanted + smoothing * logits.mean(axis=-1, keepdims=True)
    weights = rows.weights[:, None]
    loss = (weights * (largest + jnp.log(total) - wanted)).sum()

    classes = jax.lax.broadcasted_iota(rows.targets.dtype, logits.shape, 1)
    d_logits = exponentials * (weights / total)
    if smoothing:
        d_logits = d_logits - weights * (smoothing / logits.shape[-1])
    hit = classes == rows.targets[:, None]
    return loss, d_logits - jnp.where(hit, weights * (1 - smoothing), 0)
