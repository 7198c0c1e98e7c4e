"""One vector for a sequence of outputs: its last, mean, largest or attended values.

All take `ys [*batch, T, H]` with `lengths [*batch]`, use no step past the end, and give zeros for a
sequence of length 0.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Int
from rnnlab.nn.masks import blanked, masked_softmax, valid_steps


def last(
    ys: Float[Array, "*batch T H"], lengths: Int[Array, "*batch"], *, backward: int = 0
) -> Float[Array, "*batch H"]:
    """The outputs after the last step that was read.

    Args:
      ys: outputs.
      lengths: steps of each sequence.
      backward: how many of the last features come from a layer that reads backwards, such as half
        of a `Bidirectional`'s; its last step is the first in time.
    """
    if not ys.shape[-2]:
        return jnp.zeros((*ys.shape[:-2], ys.shape[-1]), ys.dtype)
    lengths = jnp.asarray(lengths, jnp.int32)
    ys = blanked(ys, valid_steps(lengths, ys.shape[-2]))
    ends = jnp.maximum(lengths - 1, 0)[..., None, None]
    at_end = jnp.take_along_axis(ys, ends, axis=-2)[..., 0, :]
    if not backward:
        return at_end
    return jnp.concatenate([at_end[..., :-backward], ys[..., 0, -backward:]], axis=-1)


def mean(ys: Float[Array, "*batch T H"], lengths: Int[Array, "*batch"]) -> Float[Array, "*batch H"]:
    """The mean over the steps of each sequence."""
    total = blanked(ys, valid_steps(lengths, ys.shape[-2])).sum(axis=-2)
    return total / jnp.maximum(jnp.asarray(lengths), 1)[..., None].astype(ys.dtype)


def largest(
    ys: Float[Array, "*batch T H"], lengths: Int[Array, "*batch"]
) -> Float[Array, "*batch H"]:
    """The largest value of each feature over the steps of each sequence (max pooling)."""
    valid = valid_steps(lengths, ys.shape[-2])
    least = jnp.finfo(ys.dtype).min
    top = jnp.max(jnp.where(valid[..., None], ys, least), axis=-2, initial=least)
    return jnp.where(jnp.any(valid, axis=-1)[..., None], top, jnp.zeros_like(top))


class AttentionPooling(nnx.Module):
    """A mean with learned weights: `Σ_t a_t y_t`, `a = softmax_t(v · tanh(y_t W + b))`.

    Source: Z. Yang et al., "Hierarchical attention networks for document classification" (2016),
    equations 5 to 7.

    Attributes:
      features: features of the outputs H.
      hidden: width of the scores' hidden layer.
      param_dtype: of the parameters.
      rngs: where the key comes from that draws them.
    """

    def __init__(
        self, features: int, hidden: int, *, param_dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ) -> None:
        types: Any = {"dtype": param_dtype, "param_dtype": param_dtype, "rngs": rngs}
        self.hidden = nnx.Linear(features, hidden, **types)
        self.score = nnx.Linear(hidden, 1, use_bias=False, **types)

    def weights(
        self, ys: Float[Array, "*batch T H"], lengths: Int[Array, "*batch"]
    ) -> Float[Array, "*batch T"]:
        """The weight of each step: exactly zero past the end, else summing to 1."""
        valid = valid_steps(lengths, ys.shape[-2])
        scores = self.score(jnp.tanh(self.hidden(blanked(ys, valid))))[..., 0]
        return masked_softmax(scores, valid)

    def __call__(
        self, ys: Float[Array, "*batch T H"], lengths: Int[Array, "*batch"]
    ) -> Float[Array, "*batch H"]:
        """The weighted mean of each sequence."""
        ys = blanked(ys, valid_steps(lengths, ys.shape[-2]))
        return jnp.einsum("...t,...th->...h", self.weights(ys, lengths), ys)
