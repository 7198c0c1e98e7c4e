"""Orthogonal matrices and the identity: all singular values equal the gain."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Key
from rnnlab.initializers.base import WithGain, draw_dtype, require_matrix


@dataclass(frozen=True)
class Orthogonal(WithGain):
    """A random orthogonal matrix times `gain`, uniform (Haar) on the orthogonal group.

    w = gain · Q, with Z = Q R the QR factors of a Gaussian matrix and R's diagonal made positive;
    without that sign Q would not be Haar (Mezzadri 2007, "How to generate random matrices from the
    classical compact groups", section 5).

    A matrix that is not square is semi-orthogonal: `w @ w.T = gain² I` if fan_in ≤ fan_out, and
    `w.T @ w = gain² I` otherwise. On the `[H, kH]` of a gated cell this is *one* matrix with
    orthonormal rows: a single gate's block is then not orthogonal but a corner of a larger
    orthogonal matrix, with ρ → gain/√k as H grows (Życzkowski & Sommers 2000, "Truncations of
    random unitary matrices", section 3) - one half for the LSTM. `GateBlocks(Orthogonal())` makes
    every gate orthogonal.

    Raises:
        UsageError: `gain` negative or not finite; `shape` without two positive axes.
    """

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "fan_in fan_out"]:
        """Returns w `[fan_in, fan_out]`."""
        rows, columns = require_matrix(shape)
        wide = draw_dtype(dtype)
        z = jax.random.normal(key, (max(rows, columns), min(rows, columns)), wide)
        q, r = jnp.linalg.qr(z)
        q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(wide)
        w = q if rows >= columns else q.T
        return (jnp.asarray(self.gain, wide) * w).astype(dtype)


@dataclass(frozen=True)
class Identity(WithGain):
    """`gain` on the main diagonal, zero elsewhere (Le, Jaitly & Hinton 2015, section 3).

    On a shape `[H, kH]` only the first gate's block is the identity; `GateBlocks(Identity())`
    repeats it for every gate.

    Raises:
        UsageError: `gain` negative or not finite; `shape` without two positive axes.
    """

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "fan_in fan_out"]:
        """Returns w `[fan_in, fan_out]`; `key` is not used."""
        rows, columns = require_matrix(shape)
        wide = draw_dtype(dtype)
        return (jnp.asarray(self.gain, wide) * jnp.eye(rows, columns, dtype=wide)).astype(dtype)
