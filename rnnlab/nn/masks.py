"""Which steps of a padded batch belong to its sequences, and what is taken of them alone."""

from __future__ import annotations

import jax.numpy as jnp

from rnnlab.arrays import Array, Bool, Float, Int


def valid_steps(lengths: Int[Array, "*batch"], steps: int) -> Bool[Array, "*batch steps"]:
    """Whether a step is before the end of its sequence."""
    return jnp.arange(steps, dtype=jnp.int32) < jnp.asarray(lengths, jnp.int32)[..., None]


def blanked(xs: Float[Array, "*batch T F"], valid: Bool[Array, "*batch T"]) -> Array:
    """The sequences with zeros after their ends: not even NaN there reaches a value or gradient."""
    return jnp.where(valid[..., None], xs, jnp.zeros_like(xs))


def masked_softmax(
    scores: Float[Array, "*batch S"], mask: Bool[Array, "*batch S"]
) -> Float[Array, "*batch S"]:
    """The softmax over the places of a mask, exactly zero elsewhere; all zero without places."""
    least = jnp.finfo(scores.dtype).min
    scores = jnp.where(mask, scores, least)
    largest = jnp.max(scores, axis=-1, keepdims=True, initial=least)
    weights = jnp.where(mask, jnp.exp(scores - largest), 0)
    total = weights.sum(axis=-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)
