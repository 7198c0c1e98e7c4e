"""Settings of a network that writes about images, and the model that they describe."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rnnlab import cells, strategies
from rnnlab.combinators import Dropout, Stack
from rnnlab.errors import UsageError
from rnnlab.run import checks
from rnnlab.training import settings

if TYPE_CHECKING:  # modules of models would slow down `--help`
    from rnnlab.nn import Functional
    from rnnlab.nn.captioner import Captioner

HAND_OVERS = ("attention", "state", "first", "input", "output", "none")
ATTENTIONS = ("additive", "dot", "general")
FEEDINGS = ("none", "readout", "context")


@dataclasses.dataclass(frozen=True)
class CaptionerNetwork:
    """Convolutions that look, and a decoder that writes."""

    #: Features of each layer of convolutions.
    channels: tuple[int, ...] = (8, 32, 64, 64)
    #: Pixels of a side of the kernels, odd.
    size: int = 3
    #: Layers of convolutions that halve height and width, the first ones.
    pooled: int = 3
    #: Features of a place that is attended to, or of the vector that stands for an image.
    features: int = 128
    #: Cell of the decoder: gru, lstm, tanh, ...; or MODULE:NAME of your own.
    cell: str = "gru"
    #: Hidden units of the decoder.
    hidden: int = 128
    #: Features of a symbol, learned.
    embedding: int = 64
    #: Features from which the next symbol is read, and of the scores of additive attention.
    readout: int = 64
    #: What the decoder gets of an image: attention to its places; or a vector, as its first state
    #: (state), read before the first symbol (first), beside every symbol (input), or by the readout
    #: alone (output); or none, which writes without seeing anything.
    hand_over: str = "attention"
    #: Scores of the attention: additive, dot or general.
    attention: str = "additive"
    #: What of its attention the decoder's cell reads at the next step: none, readout or context.
    feeding: str = "context"
    #: Dropout rate of embedded symbols and readouts.
    dropout: float = 0.0
    #: How sequences are run: hoisted, autodiff, stepwise, rematerialised, split, auto, ...
    strategy: str = "hoisted"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(
            self, channels=1, size=1, pooled=0, features=1, hidden=1, embedding=1, readout=1
        )
        checks.not_empty(self, "channels")
        if self.size % 2 == 0:
            raise UsageError(f"size={self.size}: must be odd")
        if self.pooled > len(self.channels):
            raise UsageError(f"pooled={self.pooled}: there are {len(self.channels)} layers only")
        checks.one_of(self, "hand_over", HAND_OVERS)
        checks.one_of(self, "attention", ATTENTIONS)
        checks.one_of(self, "feeding", FEEDINGS)
        strategies.by_name(self.strategy)
        with settings.renamed("rate", "dropout"):
            Dropout(self.dropout)
        self.decoder()
        if self.attends and self.attention == "dot" and self.hidden != self.features:
            raise UsageError(
                f"features={self.features}: must be hidden for attention=dot; or use general"
            )

    @property
    def attends(self) -> bool:
        """Whether there is attention."""
        return self.hand_over == "attention"

    def check_image(self, height: int, width: int) -> None:
        """Raises UsageError for layers that leave nothing of images of that many pixels."""
        if min(height, width) >> self.pooled < 1:
            raise UsageError(
                f"pooled={self.pooled}: so many layers that halve a side leave nothing of "
                f"{height} by {width} pixels; take fewer"
            )

    def decoder(self) -> Stack:
        """The layers that write."""
        return Stack((cells.by_name(self.cell, self.hidden),))

    def model(self, shape: tuple[int, int, int], symbols: int) -> Functional[Captioner]:
        """The model for images of height, width and numbers of a pixel, and that many symbols."""
        from rnnlab.nn import Functional
        from rnnlab.nn.captioner import Captioner

        return Functional(
            lambda rngs: Captioner(
                shape,
                symbols,
                channels=self.channels,
                size=self.size,
                pooled=self.pooled,
                features=self.features,
                decoder=self.decoder(),
                embedding=self.embedding,
                readout=self.readout,
                hand_over=self.hand_over,
                attention=self.attention,
                feeding=self.feeding if self.attends else "none",
                dropout=self.dropout,
                strategy=self.strategy,
                rngs=rngs,
            )
        )
