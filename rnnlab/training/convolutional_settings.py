"""Settings of a convolutional network that names what images show."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rnnlab.combinators import Dropout
from rnnlab.errors import UsageError
from rnnlab.run import checks
from rnnlab.training import settings

if TYPE_CHECKING:  # modules of models would slow down `--help`
    from rnnlab.training.convolutional import ConvolutionalModel


@dataclasses.dataclass(frozen=True)
class ConvolutionalNetwork:
    """Convolutions, each with a pooling, and a hidden layer."""

    #: Features of each layer of convolutions; each halves height and width.
    channels: tuple[int, ...] = (16, 32)
    #: Pixels of a side of the kernels, odd.
    size: int = 5
    #: Units of the hidden layer.
    hidden: int = 128
    #: Dropout rate of what the hidden layer reads and of its units.
    dropout: float = 0.3
    #: Pixels by which training images are moved at random, at most, up or down and left or right.
    shift: int = 2

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, channels=1, hidden=1, shift=0, size=1)
        checks.not_empty(self, "channels")
        if self.size % 2 == 0:
            raise UsageError(f"size={self.size}: must be odd")
        with settings.renamed("rate", "dropout"):
            Dropout(self.dropout)

    def check_side(self, side: int) -> None:
        """Raises UsageError for layers that leave nothing of images of that many pixels a side."""
        if side >> len(self.channels) < 1:
            raise UsageError(
                f"channels={self.channels}: so many layers, each of which halves a side, leave "
                f"nothing of {side} pixels; take fewer"
            )

    def model(self, classes: int) -> ConvolutionalModel:
        """The network for that many classes."""
        from rnnlab.training.convolutional import ConvolutionalModel

        return ConvolutionalModel(self, classes)
