"""A convolutional network that names what images show, and the noise of its training."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Float, Key, Params
from rnnlab.data.images import Pixels
from rnnlab.nn import Functional
from rnnlab.nn.image_classifier import ConvolutionalClassifier
from rnnlab.training.convolutional_settings import ConvolutionalNetwork
from rnnlab.training.images import ImageModel


@dataclasses.dataclass(frozen=True)
class ConvolutionalModel(ImageModel):
    """A network that reads an image as a whole.

    Attributes:
        network: its settings.
        outputs: classes.
    """

    network: ConvolutionalNetwork
    outputs: int

    @property
    def classes(self) -> int:
        """How many there are."""
        return self.outputs

    def init(self, key: Key, side: int) -> Params:
        """Draws the parameters, for images of that many pixels a side."""
        return _functional(self, side).init(key)

    def logits(
        self, params: Params, pixels: Pixels, key: Key | None = None
    ) -> Float[Array, "images classes"]:
        """Logits of the classes; `key` is of dropout and of shifts, None for none."""
        images = jnp.asarray(pixels).astype(jnp.float32) / jnp.float32(255)
        if key is not None:
            key, key_shift = jax.random.split(key)
            images = moved(images, self.network.shift, key_shift)
        return _functional(self, pixels.shape[1]).bind(params)(images, key)


@lru_cache(maxsize=16)
def _functional(model: ConvolutionalModel, side: int) -> Functional[ConvolutionalClassifier]:
    network = model.network
    return Functional(
        lambda rngs: ConvolutionalClassifier(
            side,
            model.outputs,
            channels=network.channels,
            size=network.size,
            hidden=network.hidden,
            dropout=network.dropout,
            rngs=rngs,
        )
    )


def moved(
    images: Float[Array, "images height width"], most: int, key: Key
) -> Float[Array, "images height width"]:
    """The images, each moved by -most .. most pixels in both directions; zeros come in.

    Args:
        images: what is moved.
        most: pixels.
        key: of what is drawn.
    """
    if not most:
        return images
    count, height, width = images.shape
    room = jnp.pad(images, ((0, 0), (most, most), (most, most)))
    corners = jax.random.randint(key, (count, 2), 0, 2 * most + 1, jnp.int32)

    def cut(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1]), (height, width))

    return jax.vmap(cut)(room, corners)
