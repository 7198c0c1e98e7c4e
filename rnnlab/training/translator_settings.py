"""Settings of a network that translates, and the model that they describe."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax

from rnnlab import cells, strategies
from rnnlab.combinators import Dropout, Stack
from rnnlab.combinators.layers import bidirectional
from rnnlab.errors import UsageError
from rnnlab.run import checks
from rnnlab.training import settings

if TYPE_CHECKING:  # modules of models would slow down `--help`
    from rnnlab.nn import Functional
    from rnnlab.nn.encoder_decoder import EncoderDecoder

HAND_OVERS = ("state", "context", "attention")
ATTENTIONS = ("additive", "dot", "general")
FEEDINGS = ("none", "readout", "context")


@dataclasses.dataclass(frozen=True)
class TranslatorNetwork:
    """An encoder that reads in both directions, and a decoder."""

    #: Cell of both: gru, lstm, tanh, ...; or MODULE:NAME of your own.
    cell: str = "gru"
    #: Layers of the encoder, and of the decoder.
    layers: int = 1
    #: Hidden units of the encoder's layers, in each direction.
    hidden: int = 256
    #: Hidden units of the decoder's layers.
    decoder_hidden: int = 256
    #: Features of a symbol, learned.
    embedding: int = 256
    #: Features from which the next symbol is read.
    readout: int = 256
    #: What the decoder gets: state (the last one, to start from), context (a vector at every step)
    #: or attention.
    hand_over: str = "attention"
    #: Scores of the attention: additive, dot or general.
    attention: str = "general"
    #: What of its attention the decoder's cell reads at the next step: none, readout or context.
    feeding: str = "none"
    #: Dropout rate of embedded symbols, readouts and outputs between layers; not between those of a
    #: decoder that feeds itself (feeding, or own symbols in training).
    dropout: float = 0.2
    #: Whether symbols are read and written with the same vectors; readout is embedding then.
    tied: bool = True
    #: How sequences are run: hoisted, autodiff, stepwise, rematerialised, split, auto, ...
    strategy: str = "hoisted"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, layers=1, hidden=1, decoder_hidden=1, embedding=1, readout=1)
        checks.one_of(self, "hand_over", HAND_OVERS)
        checks.one_of(self, "attention", ATTENTIONS)
        checks.one_of(self, "feeding", FEEDINGS)
        strategies.by_name(self.strategy)
        with settings.renamed("rate", "dropout"):
            Dropout(self.dropout)
        self.encoder()
        if self.feeding != "none" and self.hand_over != "attention":
            raise UsageError(f"feeding={self.feeding}: needs hand_over=attention")
        if self.tied and self.readout != self.embedding:
            raise UsageError(f"readout={self.readout}: must be embedding where tied=True")
        if self.hand_over == "attention" and self.attention == "dot":
            self._check_dot()

    def _check_dot(self) -> None:
        """Checks that what asks is as large as what is remembered."""
        if self.feeding == "context":  # the states of the layers ask
            state = self.decoder().initial_state()
            asked = sum(leaf.size for leaf in jax.tree.leaves(state))
            if asked != 2 * self.hidden:
                raise UsageError(
                    f"attention=dot: with feeding=context all {asked} numbers of the decoder's "
                    f"state ask for {2 * self.hidden} of the encoder; use general"
                )
        elif self.decoder_hidden != 2 * self.hidden:
            raise UsageError(
                f"decoder_hidden={self.decoder_hidden}: must be twice hidden for attention=dot; or "
                "use general"
            )

    def encoder(self) -> Stack:
        """The layers that read."""
        cell = cells.by_name(self.cell, self.hidden)
        return self._stack(bidirectional(cell))

    def decoder(self) -> Stack:
        """The layers that write."""
        return self._stack(cells.by_name(self.cell, self.decoder_hidden))

    def _stack(self, layer: Any) -> Stack:
        between = [Dropout(self.dropout)] if self.dropout else []
        layers = [layer]
        for _ in range(self.layers - 1):
            layers += [*between, layer]
        return Stack(tuple(layers))

    def model(self, source: int, target: int) -> Functional[EncoderDecoder]:
        """The model that translates between vocabularies of these sizes."""
        from rnnlab.nn import Functional
        from rnnlab.nn.encoder_decoder import EncoderDecoder

        return Functional(
            lambda rngs: EncoderDecoder(
                source,
                target,
                encoder=self.encoder(),
                decoder=self.decoder(),
                embedding=self.embedding,
                readout=self.readout,
                hand_over=self.hand_over,
                attention=self.attention,
                feeding=self.feeding,
                dropout=self.dropout,
                tied=self.tied,
                strategy=self.strategy,
                rngs=rngs,
            )
        )
