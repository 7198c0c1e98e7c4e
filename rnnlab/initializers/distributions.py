"""Independent entries, normal or uniform, and every number of a tree drawn alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Key, Params
from rnnlab.initializers.base import WithGain, check_not_negative, draw_dtype, require_matrix


@dataclass(frozen=True)
class Gaussian(WithGain):
    """Independent normal entries, `w_ij ~ N(0, gain² / fan_in)`.

    Square matrices have ρ → gain as they grow (the circular law; Ginibre 1965), and σ_max → 2 gain.

    Raises:
        UsageError: `gain` negative or not finite; `shape` without two positive axes.
    """

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "fan_in fan_out"]:
        """Returns w `[fan_in, fan_out]`."""
        fan_in, fan_out = require_matrix(shape)
        wide = draw_dtype(dtype)
        deviation = jnp.asarray(self.gain / math.sqrt(fan_in), wide)
        return (deviation * jax.random.normal(key, (fan_in, fan_out), wide)).astype(dtype)


@dataclass(frozen=True)
class Uniform(WithGain):
    """Independent uniform entries with the variance of `Gaussian`.

    w_ij ~ U(-a, a), a = gain · √(3 / fan_in), so that Var w_ij = a² / 3 = gain² / fan_in.

    Raises:
        UsageError: `gain` negative or not finite; `shape` without two positive axes.
    """

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "fan_in fan_out"]:
        """Returns w `[fan_in, fan_out]`."""
        fan_in, fan_out = require_matrix(shape)
        wide = draw_dtype(dtype)
        a = jnp.asarray(self.gain * math.sqrt(3 / fan_in), wide)
        return (a * jax.random.uniform(key, (fan_in, fan_out), wide, -1, 1)).astype(dtype)


def uniform_like(key: Key, tree: Params, bound: float) -> Params:
    """Every number of a tree drawn from U(-bound, bound): weights, biases and embeddings alike.

    Args:
        key: random key; each array draws with a key of its own.
        tree: arrays, or anything with `shape` and `dtype`, such as what `jax.eval_shape` returns.
        bound: a finite number of at least 0.

    Returns:
        A tree of arrays of the same structure, shapes and types.

    Raises:
        UsageError: `bound` negative or not finite.
    """
    check_not_negative("bound", bound)
    leaves, structure = jax.tree.flatten(tree)
    draws = [
        jax.random.uniform(one, leaf.shape, draw_dtype(leaf.dtype), -bound, bound)
        for one, leaf in zip(jax.random.split(key, len(leaves)), leaves, strict=True)
    ]
    typed = [draw.astype(leaf.dtype) for draw, leaf in zip(draws, leaves, strict=True)]
    return jax.tree.unflatten(structure, typed)
