"""Settings of `embeddings`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.source import MADE, Source
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training.plan import Plan
from rnnlab.training.skip_gram import Settings

#: The name of a made text of few words, whose vectors have a known optimum.
CHAIN = "chain"
MAPS = ("tsne", "pca")


@dataclasses.dataclass(frozen=True)
class Training:
    """How long word vectors are trained."""

    #: Times that the text is read.
    epochs: int = 20
    #: Epochs between checkpoints.
    checkpoint_epochs: int = 5
    #: Updates in one dispatch, about.
    dispatch: int = 200

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, epochs=1, checkpoint_epochs=1, dispatch=1)

    def plan(self, reach: int, words: int) -> Plan:
        """The plan for a text of that many words, of which an update reads `reach`.

        An epoch is so many dispatches of equal length as come nearest to one pass over the text.
        """
        updates = max(round(words / reach), 1)
        dispatches = max(round(updates / self.dispatch), 1)
        dispatch = max(round(updates / dispatches), 1)
        epoch = dispatches * dispatch
        return Plan(
            steps=self.epochs * epoch,
            dispatch=dispatch,
            evaluate_every=epoch,
            checkpoint_every=self.checkpoint_epochs * epoch,
            speed_unit="words",
            units_per_update=reach,
        )


@dataclasses.dataclass(frozen=True)
class Counting:
    """The count model: positive PMI and a truncated SVD, with skip-gram's windows and features."""

    #: log of this is subtracted from PMI, as if by so many noise words.
    shift: float = 1.0
    #: Frequencies of context words are taken to this power.
    smoothing: float = 0.75
    #: Power of the singular values in the vectors.
    singular: float = 0.0
    #: Times that the text is counted, each time with other words left out.
    passes: int = 5

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.positive(self, "shift")
        checks.non_negative(self, "smoothing", "singular")
        checks.at_least(self, passes=1)


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read, what is trained, what it is compared with."""

    #: The text; chain is a made one of six words.
    source: Source = Source(corpus="penn_treebank")
    #: Folder with the files of the tests (EN-WS-353-ALL.txt, ..., questions-words.txt), for use
    #: without a network; empty for manual_dir.
    tests_dir: str = ""
    #: Occurrences of a word, at least; rarer ones are left out.
    least: int = 5
    #: Whether the text is read in lower case.
    lower: bool = True
    #: The vectors.
    vectors: Settings = Settings()
    #: Their training.
    training: Training = Training()
    #: What they are compared with.
    counting: Counting = Counting()
    #: Whether gensim is timed on the same text, too.
    compare_gensim: bool = False
    #: How the map of words is drawn: tsne or pca.
    map: str = "tsne"
    #: Words of the map.
    map_words: int = 200
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.one_of(self, "map", MAPS)
        checks.at_least(self, least=1, map_words=2)
        checks.seed(self, "seed")


PRESETS = {
    "tiny": Config(
        source=Source(corpus=MADE),
        least=1,
        vectors=Settings(features=16, window=5, subsample=0.0, batch=128, learning_rate=0.05),
        training=Training(epochs=15, checkpoint_epochs=5, dispatch=50),
        map_words=60,
    ),
    "optimum": Config(
        source=Source(corpus=CHAIN),
        least=1,
        vectors=Settings(
            features=8,
            window=2,
            noise=2,
            power=1.0,
            subsample=0.0,
            batch=1024,
            shared=64,
            learning_rate=1e-3,
        ),
        training=Training(epochs=800, checkpoint_epochs=200, dispatch=200),
        map_words=6,
    ),
}
