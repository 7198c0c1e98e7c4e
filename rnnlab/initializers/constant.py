"""One number in every entry."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Key
from rnnlab.errors import UsageError
from rnnlab.initializers.base import require_float


@dataclass(frozen=True)
class Constant:
    """Every entry is `value`; any shape.

    Raises:
        UsageError: `value` is not finite.
    """

    value: float

    def __post_init__(self) -> None:
        """Checks the value."""
        if not math.isfinite(self.value):
            raise UsageError(f"value={self.value}: must be a finite number")

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "..."]:
        """Returns the filled array; `key` is not used."""
        return jnp.full(tuple(shape), self.value, require_float(dtype))


@dataclass(frozen=True)
class Zeros:
    """Every entry is zero; any shape."""

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "..."]:
        """Returns the array of zeros; `key` is not used."""
        return jnp.zeros(tuple(shape), require_float(dtype))
