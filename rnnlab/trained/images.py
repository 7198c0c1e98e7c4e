"""A trained network that names the classes of images.

Its description has the pixels of a `side`, the names of the `classes`, and of a recurrent network
the `order` in which pixels are read; one without is convolutional.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from rnnlab.arrays import Float, Params, UInt8
from rnnlab.data.picture_files import ENDINGS, digit_of, read_picture
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training.convolutional_settings import ConvolutionalNetwork
from rnnlab.training.images import ImageModel, SequenceModel, log_probabilities
from rnnlab.training.settings import Network


def describe(
    workdir: Workdir,
    network: Network | ConvolutionalNetwork,
    side: int,
    classes: Sequence[str],
    order: str = "",
) -> None:
    """Writes the description of a network that names the classes of images.

    Args:
        workdir: of the run.
        network: settings of the network.
        side: pixels of a side.
        classes: names of the classes.
        order: in which pixels are read, one of `rnnlab.data.images.ORDERS`; empty for a
            convolutional network.
    """
    more = {"order": order} if order else {}
    settings = Network if order else ConvolutionalNetwork
    write_description(workdir, "images", network, settings, **more, side=side, classes=[*classes])


def load(kept: Kept) -> ImageClassifier:
    """The model that a work directory keeps."""
    classes, side = tuple(kept.description["classes"]), int(kept.description["side"])
    given = kept.description["network"]
    if "order" in kept.description:
        network = Network(**given)
        reader = dataclasses.replace(network, strategy=STRATEGY).reader(len(classes))
        model: ImageModel = SequenceModel(reader, kept.description["order"])
    else:
        network = ConvolutionalNetwork(**given | {"channels": tuple(given["channels"])})
        model = network.model(len(classes))
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
    network: Network | ConvolutionalNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    #: Of the files that its lines name.
    endings: ClassVar[tuple[str, ...]] = ENDINGS

    def __call__(self, images: Any) -> Float[np.ndarray, "images classes"]:
        """Log-probabilities of the classes, float64.

        Args:
            images: integers 0 (paper) .. 255 (ink), `[N, S, S]` or one image `[S, S]`.

        Raises:
            UsageError: another shape or type, or values beyond these.
        """
        return log_probabilities(self.model, self.params, self._pixels(images))

    def predict(self, images: Any) -> list[dict[str, Any]]:
        """The likeliest class of each image and its probability.

        Args:
            images: as in a call; or names of files of pictures, of any mode and size, each with one
                digit in any ink on any paper, which is cut out and scaled as those of MNIST are.

        Returns:
            For each image `{"class": "7", "probability": 0.98}`; of a file also its name as `line`,
            the class as `answer`, and the `probabilities` of all classes.

        Raises:
            UsageError: as in a call; or a file that is no picture or shows nothing.
        """
        named = isinstance(images, Sequence) and all(
            isinstance(image, str | os.PathLike) for image in images
        )
        if not named:
            return [self._answer(row) for row in self(images)]
        empty = np.zeros((0, self.side, self.side), np.uint8)
        log_p = self(np.stack([self.read(name) for name in images]) if images else empty)
        return [
            {"line": str(name), "answer": self.classes[row.argmax()]}
            | self._answer(row)
            | {"probabilities": dict(zip(self.classes, np.exp(row).tolist(), strict=True))}
            for name, row in zip(images, log_p, strict=True)
        ]

    def read(self, name: str | os.PathLike[str]) -> UInt8[np.ndarray, "side side"]:
        """The pixels that the network sees of a file.

        Raises:
            UsageError: it is no picture, or shows nothing.
        """
        picture = read_picture(name)
        try:
            return digit_of(picture, self.side)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from error

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws a picture, what the network sees of it, and the probabilities of the classes.

        Args:
            line: the name of the file.
            path: of the drawing, which ends in .png, .pdf or .svg.

        Raises:
            UsageError: as `predict`.
        """
        from rnnlab import plots

        seen, (row,) = self.read(line), self.predict([line])
        with plots.style():
            figure, axes = plots.subplots(1, 3, width=8, height=2.8)
            axes[0, 0].imshow(read_picture(line))
            axes[0, 0].set_title("the picture")
            axes[0, 1].imshow(seen, cmap="gray_r", vmin=0, vmax=255)
            axes[0, 1].set_title("what the network sees")
            for ax in axes[0, :2]:
                ax.set(xticks=[], yticks=[])
            axes[0, 2].bar(list(row["probabilities"]), list(row["probabilities"].values()))
            axes[0, 2].set(ylim=(0, 1), ylabel="probability", title=f"answer: {row['answer']}")
            plots.save(figure, path)

    def _answer(self, row: np.ndarray) -> dict[str, Any]:
        return {"class": self.classes[row.argmax()], "probability": float(np.exp(row.max()))}

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
