"""Settings of a network that reads a text and names its class."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rnnlab.combinators import Stack
from rnnlab.errors import UsageError
from rnnlab.layer import output_size
from rnnlab.run import checks
from rnnlab.training import settings

if TYPE_CHECKING:  # Flax would slow down `--help`
    from jax.typing import ArrayLike

    from rnnlab.nn import Functional
    from rnnlab.nn.text_classifier import TextClassifier

#: What a word is to the network, and what is made of the outputs of a text.
INPUTS = ("one_hot", "learned", "pretrained")
POOLINGS = ("last", "mean", "max", "attention")


@dataclasses.dataclass(frozen=True)
class ClassifierNetwork(settings.Network):
    """A network that reads the words of a text and names its class."""

    #: Whether the layers read in both directions, each with the hidden units.
    bidirectional: bool = True
    #: What a word is to the network: one_hot, learned (a vector), or pretrained (one of a file).
    inputs: str = "learned"
    #: Features of a word's vector.
    embedding: int = 100
    #: Whether pretrained vectors learn, too.
    train_vectors: bool = True
    #: What is read of the outputs: last, mean, max or attention.
    pooling: str = "max"
    #: Probability in training that a word is read as an unknown one.
    word_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.one_of(self, "inputs", INPUTS)
        checks.one_of(self, "pooling", POOLINGS)
        checks.one_of(self, "compute", ("float32",))
        checks.at_least(self, embedding=1)
        if not 0 <= self.word_dropout < 1:
            raise UsageError(f"word_dropout={self.word_dropout}: must be at least 0 and below 1")

    def stack(self, **cell_settings: Any) -> Stack:
        """The layers, in both directions where they read so, with dropout between them."""
        layers = super().stack(**cell_settings)
        return settings.both_ways(layers) if self.bidirectional else layers

    def classifier(
        self, words: int, classes: int, vectors: ArrayLike | None = None
    ) -> Functional[TextClassifier]:
        """The network with a readout.

        Args:
            words: size of the vocabulary.
            classes: how many there are.
            vectors: `[words, embedding]` to start from, where inputs are pretrained; None draws
                them, which a checkpoint then replaces.
        """
        from rnnlab.nn import Functional
        from rnnlab.nn.text_classifier import TextClassifier

        cell = self.stack()
        return Functional(
            lambda rngs: TextClassifier(
                cell,
                words,
                classes,
                embedding=0 if self.inputs == "one_hot" else self.embedding,
                vectors=vectors,
                train_vectors=self.inputs == "learned" or self.train_vectors,
                pooling=self.pooling,
                backward=(output_size(cell) or 0) // 2 if self.bidirectional else 0,
                word_dropout=self.word_dropout,
                strategy=self.strategy,
                rngs=rngs,
            )
        )
