"""Vectors of symbols: learned, or read from a file and kept."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Float, Int, Params
from rnnlab.errors import UsageError

#: What parameters are called that no optimiser changes.
FROZEN = "frozen"


class Embedding(nnx.Module):
    """A vector for each symbol: `[..., E]` for codes `[...]`.

    The parameter is `table [V, E]`, or `frozen [V, E]` where it is not trained: it gets no
    gradient, and `keep_frozen` takes it from weight decay, too.

    Attributes:
      size: number of symbols V.
      features: features of a vector E.
      padding: code whose vector is zero and stays so; None for none.
      vectors: `[V, E]` to start from, such as `rnnlab.data.word_vectors.pretrained` finds; None
        draws them from N(0, 1/E), so that a vector's length is about 1.
      trained: whether the vectors learn.
      param_dtype: of the vectors.
      rngs: where the key comes from that draws them.

    Raises:
      UsageError: vectors of another shape, or a padding beyond the symbols.
    """

    def __init__(
        self,
        size: int,
        features: int,
        *,
        padding: int | None = 0,
        vectors: ArrayLike | None = None,
        trained: bool = True,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if padding is not None and not 0 <= padding < size:
            raise UsageError(f"padding={padding}: must be within 0 .. {size - 1}, or None")
        if vectors is not None and np.shape(vectors) != (size, features):
            raise UsageError(
                f"vectors: have the shape {list(np.shape(vectors))}; {size} symbols of {features} "
                f"features need [{size}, {features}]"
            )
        self.size, self.features, self.padding = size, features, padding
        if vectors is None:
            table = jax.random.normal(rngs.params(), (size, features), param_dtype)
            table = table * jnp.asarray(features**-0.5, param_dtype)
        else:
            table = jnp.asarray(vectors, param_dtype)
        if padding is not None:
            table = table.at[padding].set(0)
        if trained:
            self.table = nnx.Param(table)
        else:
            self.frozen = nnx.Param(table)

    def __call__(self, codes: Int[Array, "..."]) -> Float[Array, "... E"]:
        """The vectors of symbols; codes must be within 0 .. V - 1."""
        if hasattr(self, FROZEN):
            table = jax.lax.stop_gradient(self.frozen.get_value())
        else:
            table = self.table.get_value()
        vectors = jnp.take(table, codes, axis=0)
        if self.padding is None:
            return vectors
        return jnp.where((codes == self.padding)[..., None], jnp.zeros_like(vectors), vectors)


def keep_frozen(optimiser: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimiser, which changes no parameter called `frozen`, not even by weight decay."""

    def update(updates: Params, state: Any, params: Params | None = None) -> tuple[Params, Any]:
        changes, state = optimiser.update(updates, state, params)
        return jax.tree_util.tree_map_with_path(_unless_frozen, changes), state

    return optax.GradientTransformation(optimiser.init, update)


def _unless_frozen(path: tuple[Any, ...], change: Array) -> Array:
    names = {getattr(entry, "key", None) for entry in path}
    return jnp.zeros_like(change) if FROZEN in names else change
