"""The recurrent matrix `[H, kH]` of a gated cell as k square blocks, one per gate."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Float, Key
from rnnlab.initializers.base import Initializer, require_gate_blocks
from rnnlab.initializers.names import as_initializer


@dataclass(frozen=True)
class GateBlocks:
    """Fills each H × H block of `[H, kH]` with its own independent draw from `base`.

    `GateBlocks(Orthogonal())` makes the recurrent matrix of every gate orthogonal by itself, so
    that each gate has ρ = σ_max = gain, while a plain `Orthogonal()` gives k corners of one larger
    orthogonal matrix.

    Raises:
        UsageError: fan_out is not a multiple of fan_in.
    """

    base: Initializer | str

    def __post_init__(self) -> None:
        """Looks up a name."""
        object.__setattr__(self, "base", as_initializer("base", self.base))

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "H k*H"]:
        """Returns w `[H, kH]`, drawn with one key per block."""
        hidden, k = require_gate_blocks(shape)
        base = as_initializer("base", self.base)
        draws = [base(block, (hidden, hidden), dtype) for block in jax.random.split(key, k)]
        return jnp.concatenate(draws, axis=1)


def gate_blocks(w: ArrayLike) -> Float[Array, "... k H H"]:
    """Cuts `[..., H, kH]` into its k square blocks, one per gate: `[..., k, H, H]`.

    Raises:
        UsageError: the last axis is not a multiple of the one before it.
    """
    w = jnp.asarray(w)
    hidden, k = require_gate_blocks(w.shape[-2:])
    return jnp.moveaxis(w.reshape(*w.shape[:-1], k, hidden), -2, -3)
