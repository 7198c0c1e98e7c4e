"""Layers of convolutions: from the pixels of an image to features of its places."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float
from rnnlab.errors import UsageError

#: How much larger one place is, in pixels of either direction, after each pooling.
POOL = 2


class Convolutions(nnx.Module):
    """`relu(max_pool(x * W + b))`, layer after layer; the last ones may pool no more.

    Every convolution keeps height and width, with zeros around the image; every pooling takes the
    largest of 2 by 2 places and leaves out an odd last row or column.

    Attributes:
      channels_in: numbers of a pixel C.
      channels: features of each layer, F of the last.
      size: pixels of a side of the kernels, odd.
      pooled: layers that pool, the first ones; None for all.
      param_dtype: of the weights, which are drawn with variance 2 / fan-in (K. He et al., "Delving
        deep into rectifiers", 2015).
      rngs: where the key comes from that draws them.

    Raises:
      UsageError: no layers, or a number out of range.
    """

    def __init__(
        self,
        channels_in: int,
        channels: Sequence[int],
        *,
        size: int = 3,
        pooled: int | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        check_layers(channels, size, pooled)
        self.pooled = len(channels) if pooled is None else pooled
        make: Any = partial(
            nnx.Conv,
            kernel_size=(size, size),
            kernel_init=nnx.initializers.he_normal(),
            dtype=param_dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )
        before = [channels_in, *channels[:-1]]
        self.layers = nnx.List([make(i, o) for i, o in zip(before, channels, strict=True)])

    def __call__(self, images: Float[Array, "B height width C"]) -> Float[Array, "B h w F"]:
        """The features of each place; `places` says how many there are."""
        for index, layer in enumerate(self.layers):
            images = layer(images)
            if index < self.pooled:
                images = max_pool(images)
            images = jax.nn.relu(images)  # after the pooling, where it is the same of fewer numbers
        return images


def check_layers(channels: Sequence[int], size: int, pooled: int | None) -> None:
    """Raises UsageError for layers that there cannot be."""
    if not channels or min(channels) < 1:
        raise UsageError(f"channels={tuple(channels)}: must be positive integers, at least one")
    if size < 1 or size % 2 == 0:
        raise UsageError(f"size={size}: must be a positive odd integer")
    if pooled is not None and not 0 <= pooled <= len(channels):
        raise UsageError(f"pooled={pooled}: must be within 0 .. {len(channels)}, the layers")


def places(pixels: int, pooled: int) -> int:
    """Places along a side of that many pixels, after that many poolings."""
    return pixels // POOL**pooled


def max_pool(images: Float[Array, "B H W C"]) -> Float[Array, "B H/2 W/2 C"]:
    """The largest of 2 by 2 places.

    The same as `nnx.max_pool`, and with the same derivative where the largest is one alone; written
    with slices, the backward pass takes XLA:CPU a third of the time.
    """
    high, wide = (POOL * (n // POOL) for n in images.shape[1:3])
    images = images[:, :high, :wide]
    rows = jnp.maximum(images[:, ::2], images[:, 1::2])
    return jnp.maximum(rows[:, :, ::2], rows[:, :, 1::2])
