"""Settings of a network that labels words."""

from __future__ import annotations

import dataclasses
from typing import Any

from rnnlab.combinators import Stack
from rnnlab.combinators.noise import check_rate
from rnnlab.run import checks
from rnnlab.training import settings

#: What is read of the spelling of words.
CHARACTERS = ("cnn", "lstm", "none")


@dataclasses.dataclass(frozen=True)
class TaggingNetwork(settings.Network):
    """A network that reads words and their characters and labels each word."""

    #: Whether the layers read in both directions, each with the hidden units.
    bidirectional: bool = True
    #: Whether a conditional random field judges all labels of a sentence together; without it each
    #: word has a softmax of its own.
    crf: bool = True
    #: What reads the characters of a word: cnn, lstm or none.
    characters: str = "cnn"
    #: Features of a word, learned or from a file of vectors.
    embedding: int = 100
    #: Features of a character.
    character_embedding: int = 25
    #: Features of a word from its characters.
    spelling: int = 50
    #: Words that were seen once in training are read as unknown ones with this probability.
    unknown: float = 0.5
    #: Whether words are known by their lower case; characters keep theirs.
    lower: bool = True
    #: Whether the vectors of words learn.
    train_vectors: bool = True

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.one_of(self, "characters", CHARACTERS)
        checks.one_of(self, "compute", ("float32",))
        checks.at_least(self, embedding=1, character_embedding=1, spelling=2)
        check_rate("unknown", self.unknown)

    def stack(self, **cell_settings: Any) -> Stack:
        """The layers, in both directions where they read so, with dropout between them."""
        layers = super().stack(**cell_settings)
        return settings.both_ways(layers) if self.bidirectional else layers
