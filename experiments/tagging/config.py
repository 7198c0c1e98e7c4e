"""Settings of `tagging`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.source import MADE
from rnnlab.data.tagging import TaggingSource
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.plan import Plan
from rnnlab.training.tagger_settings import TaggingNetwork

#: What is measured beside the network.
BASELINES = ("frequent", "features", "none")


@dataclasses.dataclass(frozen=True)
class Training(settings.Bucketed):
    """How the network is trained on shuffled sentences."""

    #: Times that the sentences are read.
    epochs: int = 12
    #: Words of a sentence that are read in training, at most.
    longest: int = 100
    #: Buckets of sentences of similar lengths, at most.
    buckets: int = 6

    def __post_init__(self) -> None:
        """Checks every field but `warmup`, whose limit depends on the number of sentences."""
        super().__post_init__()
        checks.at_least(self, longest=1, buckets=1)


@dataclasses.dataclass(frozen=True)
class Config:
    """What is labelled, by which network, trained how."""

    #: The sentences.
    source: TaggingSource = TaggingSource(data="ewt")
    #: A file of word vectors, as GloVe and word2vec write them, to start from; empty to draw them.
    vectors: str = ""
    #: The network.
    network: TaggingNetwork = TaggingNetwork(
        cell="lstm", layers=1, hidden=150, dropout=0.5, dropout_inputs=True
    )
    #: Its training.
    training: Training = Training(
        batch=32,
        learning_rate=0.004,
        schedule="cosine",
        warmup=100,
        clip_norm=5.0,
        checkpoint_every=200,
    )
    #: What is measured beside it: frequent (the most frequent label of each word), features (a CRF
    #: on hand-made features; needs the package sklearn-crfsuite) or none.
    baseline: str = "frequent"
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.one_of(self, "baseline", BASELINES)
        checks.seed(self, "seed")
        self.plan(10**6, 1)

    def plan(self, epoch: int, words: int) -> Plan:
        """How long training is.

        Args:
            epoch: training steps of an epoch.
            words: of a batch, on average.
        """
        return self.training.epochs_plan(
            epoch, best="error", speed_unit="words", units_per_update=words
        )


_EWT = Config()
#: Two thirds of its words occur once: spelling tells more here.
_WIKIANN = dataclasses.replace(
    _EWT,
    source=TaggingSource(data="wikiann"),
    network=dataclasses.replace(_EWT.network, characters="lstm", spelling=100, unknown=0.7),
    training=dataclasses.replace(_EWT.training, epochs=6, learning_rate=0.002),
)

PRESETS = {
    "tiny": Config(
        source=TaggingSource(data=MADE),
        network=dataclasses.replace(
            _EWT.network, hidden=16, embedding=16, character_embedding=8, spelling=16, dropout=0.2
        ),
        training=dataclasses.replace(
            _EWT.training, batch=20, epochs=4, learning_rate=0.02, warmup=10, buckets=2
        ),
    ),
    "wikiann": _WIKIANN,
    "wnut17": dataclasses.replace(
        _EWT,
        source=TaggingSource(data="wnut17"),
        training=dataclasses.replace(_EWT.training, epochs=20),
        baseline="features",
    ),
}
