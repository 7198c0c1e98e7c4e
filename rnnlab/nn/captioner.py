"""A network that looks at an image and writes a sentence about it: one-to-many.

Convolutions make features of the places of an image. The decoder gets of them, by its hand-over
(`rnnlab.nn.decoder`), one vector, `v = relu(W flat(f) + b)`, in one of four ways; or with
attention the places themselves, each as `relu(W f + p)` with a learned vector p that says where it
is, and their mean to start from (K. Xu et al., "Show, attend and tell: neural image caption
generation with visual attention", 2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float
from rnnlab.layer import Layer
from rnnlab.nn.convolution import Convolutions, places
from rnnlab.nn.decoder import Decoder, Memory
from rnnlab.nn.embedding import Embedding
from rnnlab.strategies import Strategy


class Captioner(Decoder):
    """See the module's docstring.

    Attributes:
      shape: height, width and numbers of a pixel of the images.
      symbols: size of the vocabulary; the symbol 0 is padding.
      channels: features of each layer of convolutions.
      size: pixels of a side of the kernels.
      pooled: layers that pool, the first ones.
      features: of a place, or of the vector that stands for an image.
      decoder: recurrent layers that write, of a kind that can run step by step.
      embedding: features of a symbol E.
      readout: features R of the readout.
      hand_over, attention, feeding, dropout, tied, strategy, param_dtype, rngs: as of
        `rnnlab.nn.decoder.Decoder`.

    Raises:
      UsageError: settings that do not exist or do not go together.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        symbols: int,
        *,
        channels: Sequence[int],
        size: int,
        pooled: int,
        features: int,
        decoder: Layer,
        embedding: int,
        readout: int,
        hand_over: str = "attention",
        attention: str = "additive",
        feeding: str = "context",
        dropout: float = 0.0,
        tied: bool = False,
        strategy: str | Strategy = "autodiff",
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        types: Any = {"param_dtype": param_dtype, "rngs": rngs}
        super().__init__(
            Embedding(symbols, embedding, **types),
            decoder,
            summary=features,
            read=features,
            readout=readout,
            hand_over=hand_over,
            attention=attention,
            feeding=feeding,
            dropout=dropout,
            tied=tied,
            strategy=strategy,
            **types,
        )
        self.features = features
        if hand_over == "none":
            return
        self.grid = tuple(places(pixels, pooled) for pixels in shape[:2])
        count = math.prod(self.grid)
        self.convolutions = Convolutions(shape[2], channels, size=size, pooled=pooled, **types)
        linear: Any = partial(
            nnx.Linear, kernel_init=nnx.initializers.he_normal(), dtype=param_dtype, **types
        )
        if hand_over == "attention":
            self.of_place = linear(channels[-1], features)
            where = jax.random.normal(rngs.params(), (count, features), param_dtype)
            self.where = nnx.Param(where * jnp.asarray(features**-0.5, param_dtype))
        else:
            self.of_image = linear(count * channels[-1], features)

    def encode(self, images: Float[Array, "B height width C"]) -> Memory:
        """Looks at images, of numbers from 0 to 1."""
        count = len(images)
        if self.hand_over == "none":
            return self.remember(jnp.zeros((count, self.features), images.dtype))
        found = self.convolutions(images)
        if self.hand_over != "attention":
            flat = found.reshape(count, math.prod(found.shape[1:]))
            return self.remember(jax.nn.relu(self.of_image(flat)))
        spots = found.reshape(count, math.prod(self.grid), found.shape[-1])
        spots = jax.nn.relu(self.of_place(spots) + self.where.get_value())
        return self.remember(spots.mean(axis=1), spots, jnp.ones(spots.shape[:2], bool))
