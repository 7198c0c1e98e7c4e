"""A trained network that names the classes of images.

Its description has the `order` in which pixels are read, the pixels of a `side`, and the names of
the `classes`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from rnnlab.arrays import Float, Params
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training.images import ImageModel, log_probabilities
from rnnlab.training.settings import Network


def describe(
    workdir: Workdir, network: Network, order: str, side: int, classes: Sequence[str]
) -> None:
    """Writes the description of a network that names the classes of images.

    Args:
        workdir: of the run.
        network: settings of the network.
        order: in which pixels are read, one of `rnnlab.data.images.ORDERS`.
        side: pixels of a side.
        classes: names of the classes.
    """
    more = {"order": order, "side": side, "classes": list(classes)}
    write_description(workdir, "images", network, Network, **more)


def load(kept: Kept) -> ImageClassifier:
    """The model that a work directory keeps."""
    classes, side = tuple(kept.description["classes"]), int(kept.description["side"])
    network = Network(**kept.description["network"])
    reader = dataclasses.replace(network, strategy=STRATEGY).reader(len(classes))
    model = ImageModel(reader, kept.description["order"])
    step, params = kept.parameters(lambda key: model.init(key, side))
    return ImageClassifier(model, params, classes, side, network, kept.config, step)


@dataclasses.dataclass(frozen=True, eq=False)
class ImageClassifier:
    """A trained network that names the classes of images.

    Attributes:
        model: network and readout.
        params: their parameters.
        classes: names of the classes.
        side: pixels of a side S.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: ImageModel = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    classes: tuple[str, ...]
    side: int
    network: Network
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    #: It names images.
    answers_lines: ClassVar[bool] = False

    def __call__(self, images: Any) -> Float[np.ndarray, "images classes"]:
        """Log-probabilities of the classes, float64.

        Args:
            images: integers 0 (paper) .. 255 (ink), `[N, S, S]` or one image `[S, S]`.

        Raises:
            UsageError: another shape or type, or values beyond these.
        """
        return log_probabilities(self.model, self.params, self._pixels(images))

    def predict(self, images: Any) -> list[dict[str, Any]]:
        """The likeliest class of each image and its probability; argument as in a call.

        Returns:
            For each image `{"class": "7", "probability": 0.98}`.
        """
        return [
            {"class": self.classes[row.argmax()], "probability": float(np.exp(row.max()))}
            for row in self(images)
        ]

    def _pixels(self, images: Any) -> np.ndarray:
        pixels = np.asarray(images)
        if pixels.ndim == 2:
            pixels = pixels[None]
        if pixels.ndim != 3 or pixels.shape[1:] != (self.side, self.side):
            raise UsageError(
                f"images: have the shape {list(np.shape(images))}; it must be "
                f"[N, {self.side}, {self.side}]"
            )
        if not np.issubdtype(pixels.dtype, np.integer):
            raise UsageError(f"images: are {pixels.dtype}; pixels must be integers 0 .. 255")
        if pixels.size and (pixels.min() < 0 or pixels.max() > 255):
            raise UsageError(
                f"images: pixels {pixels.min()} .. {pixels.max()} must be within 0 .. 255"
            )
        return pixels.astype(np.uint8)
