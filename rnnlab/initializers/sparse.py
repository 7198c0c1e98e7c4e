"""Few incoming connections for each unit."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Key
from rnnlab.errors import UsageError
from rnnlab.initializers.base import Initializer, require_matrix
from rnnlab.initializers.names import as_initializer
from rnnlab.sizes import check_positive


@dataclass(frozen=True)
class Sparse:
    """A draw from `base` in which each unit keeps `connections` of its incoming weights.

    Those connections are drawn for each column of `[fan_in, fan_out]`, uniformly without
    replacement; all others are zero (Martens 2010, "Deep learning via Hessian-free optimization").

    Raises:
        UsageError: `connections` not positive, or more than there are inputs.
    """

    base: Initializer | str
    connections: int = 15

    def __post_init__(self) -> None:
        """Looks up a name, and checks the number of connections."""
        object.__setattr__(self, "base", as_initializer("base", self.base))
        connections = check_positive("connections", self.connections)
        object.__setattr__(self, "connections", connections)

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "fan_in fan_out"]:
        """Returns w `[fan_in, fan_out]`."""
        fan_in, fan_out = require_matrix(shape)
        if self.connections > fan_in:
            raise UsageError(f"connections={self.connections}: there are only {fan_in} inputs")
        key_base, key_mask = jax.random.split(key)
        places = jax.random.uniform(key_mask, (fan_in, fan_out), jnp.float32)
        ranks = jnp.argsort(jnp.argsort(places, axis=0), axis=0)
        w = as_initializer("base", self.base)(key_base, shape, dtype)
        return jnp.where(ranks < self.connections, w, jnp.zeros_like(w))
