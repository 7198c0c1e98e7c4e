"""Networks that name what images show: by convolutions, or recurrent over the pixels."""

from __future__ import annotations

import abc
import dataclasses
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlab.arrays import Array, Bool, Float, Int, Key, Params, UInt8
from rnnlab.data.images import Images, Pixels, sequences
from rnnlab.training.model import Reader
from rnnlab.training.optimisers import Clip
from rnnlab.training.update import Learner

#: Images of an examination that are read at a time, which bounds its memory.
READ = 100


class ImageModel(abc.ABC):
    """From images to the logits of their classes."""

    @property
    @abc.abstractmethod
    def classes(self) -> int:
        """How many there are."""

    @abc.abstractmethod
    def init(self, key: Key, side: int) -> Params:
        """Draws the parameters, for images of that many pixels a side."""

    @abc.abstractmethod
    def logits(
        self, params: Params, pixels: Pixels, key: Key | None = None
    ) -> Float[Array, "images classes"]:
        """Logits of the classes; `key` is of the noise of training, None for none."""

    def losses(
        self, params: Params, images: Images, key: Key | None = None
    ) -> tuple[Float[Array, "images"], Bool[Array, "images"]]:
        """Cross-entropy in nats of each image, and whether its likeliest class is right."""
        chex.assert_equal_shape_prefix([images.pixels, images.labels], 1)
        logits = self.logits(params, images.pixels, key)
        nats = optax.losses.softmax_cross_entropy_with_integer_labels(logits, images.labels)
        return nats, jnp.argmax(logits, axis=-1).astype(jnp.int32) == images.labels


@dataclasses.dataclass(frozen=True)
class SequenceModel(ImageModel):
    """A recurrent network over the pixels: `p(class) = softmax(y_T w + b)` with its last output.

    Attributes:
        reader: network and readout, with an output for each class.
        order: in which pixels are read, one of `rnnlab.data.images.ORDERS`.
    """

    reader: Reader
    order: str

    @property
    def classes(self) -> int:
        """How many there are."""
        return self.reader.outputs

    def init(self, key: Key, side: int) -> Params:
        """Draws the parameters, for images of that many pixels a side."""
        return self.reader.init(key, side if self.order == "rows" else 1)

    def logits(
        self, params: Params, pixels: Pixels, key: Key | None = None
    ) -> Float[Array, "images classes"]:
        """Logits of the classes; `key` is of dropout, None for none."""
        _, ys = self.reader.run(params, sequences(pixels, self.order), key=key)
        return self.reader.read(params, ys[-1])


def image_learner(
    model: ImageModel,
    *,
    side: int,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip,
) -> Learner:
    """What trains a model on batches of images.

    Args:
        model: what is trained.
        side: pixels of a side.
        batch: images of a batch.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
    """

    def loss(params: Params, carry: Any, images: Images, key: Array) -> Any:
        nats, right = model.losses(params, images, key)
        return nats.mean(), (carry, {"accuracy": right.astype(nats.dtype).mean()})

    return Learner(
        init=lambda key: model.init(key, side),
        loss=loss,
        optimiser=optimiser,
        clip=clip,
        axes=Images(0, 0),
        batch=batch,
        written_out=not isinstance(model, SequenceModel),
    )


class Result(NamedTuple):
    """What a network made of some images.

    Attributes:
        answers: the likeliest class of each.
        accuracy: share of right answers.
        loss: mean cross-entropy in nats.
    """

    answers: Int[np.ndarray, "images"]
    accuracy: float
    loss: float


class Examination:
    """Shows images to networks; noise is off.

    Args:
        model: the model.
        images: what it is shown.
    """

    def __init__(self, model: ImageModel, images: Images):
        self._model, self._images = model, images

    def __call__(self, params: Params) -> Result:
        """The result of a network with these parameters."""
        labels = np.asarray(self._images.labels)
        log_p = log_probabilities(self._model, params, self._images.pixels)
        answers = log_p.argmax(axis=1)
        nats = -log_p[np.arange(len(labels)), labels]
        return Result(answers, float(np.mean(answers == labels)), float(nats.mean()))


def log_probabilities(
    model: ImageModel, params: Params, pixels: UInt8[np.ndarray, "images side side"]
) -> Float[np.ndarray, "images classes"]:
    """Log-probabilities of the classes of images, float64.

    Images are read in batches of equal size.
    """
    count = len(pixels)
    batches = -(-count // READ)
    size = -(-count // max(batches, 1))
    room = np.zeros((batches * size, *pixels.shape[1:]), np.uint8)
    room[:count] = pixels
    read = [_read(model, params, batch) for batch in np.split(room, batches)] if count else []
    logits = np.asarray(read, np.float64).reshape(-1, model.classes)[:count]
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


# Not a loop on the device, in which XLA:CPU takes much longer for convolutions.
@partial(jax.jit, static_argnums=0)
def _read(model: ImageModel, params: Params, pixels: Any) -> Array:
    return model.logits(params, pixels)
