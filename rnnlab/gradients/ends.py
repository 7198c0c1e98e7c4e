"""Sequences of different lengths in one batch, padded on the right."""

from __future__ import annotations

import jax.numpy as jnp
from jax.typing import ArrayLike

from rnnlab.arrays import Array, Inputs
from rnnlab.unroll import check_lengths


def blank_padding(xs: Inputs, lengths: ArrayLike) -> tuple[Inputs, Array]:
    """Inputs with zeros past the end, and which steps `[T, *batch]` belong to a sequence.

    Raises:
      UsageError: lengths that are no integers `[*batch]` within 0..T.
    """
    known = jnp.asarray(check_lengths(lengths, xs.shape), jnp.int32)
    time = jnp.arange(xs.shape[0], dtype=jnp.int32)
    valid = time.reshape(-1, *(1,) * (xs.ndim - 2)) < known
    return without_padding(xs, valid), valid


def without_padding(a: Array, valid: Array) -> Array:
    """The values of each step `[T, *batch, N]`, zero past the end."""
    return jnp.where(valid[..., None], a, jnp.zeros_like(a))


def last_steps(valid: Array) -> Array:
    """Which step `[T, *batch]` is the last of its sequence."""
    after = jnp.concatenate([valid[1:], jnp.zeros_like(valid[:1])])
    return valid & ~after
