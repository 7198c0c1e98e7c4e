"""A convolutional network that names what an image shows, without recurrence: one-to-one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Key
from rnnlab.combinators.noise import check_rate, dropout_mask
from rnnlab.nn.convolution import Convolutions, places


class ConvolutionalClassifier(nnx.Module):
    """Convolutions, a hidden layer and the logits: `relu(flat(f) W + b) W_o + b_o`.

    Y. LeCun et al., "Gradient-based learning applied to document recognition" (1998), but with
    rectified units, and of the places that a pooling joins the largest.

    Attributes:
      side: pixels of a side of the gray images.
      classes: how many there are.
      channels: features of each layer of convolutions, all of which pool.
      size: pixels of a side of the kernels.
      hidden: units of the hidden layer.
      dropout: rate for the features and the hidden units, where a call gets a key (N. Srivastava et
        al., "Dropout", 2014).
      param_dtype: of all parameters.
      rngs: where the keys come from that draw them.

    Raises:
      UsageError: a number out of range.
    """

    def __init__(
        self,
        side: int,
        classes: int,
        *,
        channels: Sequence[int],
        size: int,
        hidden: int,
        dropout: float = 0.0,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.dropout = check_rate("dropout", dropout)
        types: Any = {"param_dtype": param_dtype, "rngs": rngs}
        linear: Any = partial(nnx.Linear, dtype=param_dtype, **types)
        self.convolutions = Convolutions(1, channels, size=size, **types)
        flat = places(side, len(channels)) ** 2 * channels[-1]
        self.hidden = linear(flat, hidden, kernel_init=nnx.initializers.he_normal())
        self.output = linear(hidden, classes)

    def __call__(
        self, images: Float[Array, "images side side"], key: Key | None = None
    ) -> Float[Array, "images classes"]:
        """The logits of images, from 0 (paper) to 1 (ink); `key` is of dropout."""
        keys: Any = (None, None) if key is None else jax.random.split(key)
        features = self.convolutions(images[..., None])
        flat = features.reshape(len(images), math.prod(features.shape[1:]))
        hidden = jax.nn.relu(self.hidden(self._dropped(flat, keys[0])))
        return self.output(self._dropped(hidden, keys[1]))

    def _dropped(self, xs: Array, key: Key | None) -> Array:
        if key is None or not self.dropout:
            return xs
        return xs * dropout_mask(key, self.dropout, xs.shape, xs.dtype)
