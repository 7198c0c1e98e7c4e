"""Settings of `sentiment`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.classification import ClassificationSource
from rnnlab.data.source import MADE
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.classifier_settings import ClassifierNetwork
from rnnlab.training.plan import Plan


@dataclasses.dataclass(frozen=True)
class Words:
    """Which words the network knows."""

    #: Words of the vocabulary at most, special ones included; 0 for all.
    most: int = 0
    #: How often a word must occur in the training texts.
    least: int = 2
    #: A text file of vectors, as GloVe and word2vec write them, for inputs=pretrained; may be .gz.
    vectors: str = ""

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, most=0, least=1)
        if 0 < self.most < 5:
            raise UsageError(f"most={self.most}: must be 0, or at least 5")


@dataclasses.dataclass(frozen=True)
class Training(settings.Bucketed):
    """How the network is trained on shuffled texts of similar lengths."""

    #: Times that the training texts are read.
    epochs: int = 4
    #: Groups of similar length, for each of which a program is compiled.
    buckets: int = 4
    #: Weight of a class in the loss: 0 makes all texts count the same, 1 all classes.
    balance: float = 0.0
    #: What the best checkpoint has most of: accuracy or macro_f1, on the validation texts.
    best: str = "accuracy"

    def __post_init__(self) -> None:
        """Checks every field but `warmup`, whose limit depends on the number of texts."""
        super().__post_init__()
        checks.at_least(self, buckets=1)
        checks.non_negative(self, "balance")
        checks.one_of(self, "best", ("accuracy", "macro_f1"))


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read, by which network, trained how."""

    #: The texts.
    source: ClassificationSource = ClassificationSource(data="covidsenti")
    #: The vocabulary.
    words: Words = Words()
    #: The network.
    network: ClassifierNetwork = ClassifierNetwork(
        cell="lstm", hidden=64, embedding=64, dropout=0.3, word_dropout=0.05
    )
    #: Its training.
    training: Training = Training(
        batch=128,
        learning_rate=0.004,
        schedule="linear",
        warmup=100,
    )
    #: Whether TF-IDF with logistic regression is trained beside it.
    baseline: bool = True
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.seed(self, "seed")
        if (self.network.inputs == "pretrained") != bool(self.words.vectors):
            raise UsageError(
                f"inputs={self.network.inputs}, vectors={self.words.vectors!r}: pretrained inputs "
                "need a file of vectors, and no others take one"
            )

    def plan(self, epoch: int) -> Plan:
        """How long training is, for epochs of that many training steps."""
        return self.training.epochs_plan(
            epoch, best="miss", speed_unit="texts", units_per_update=self.training.batch
        )


_COVIDSENTI = Config()
#: A tenth as many texts: more noise.
_SST2 = dataclasses.replace(
    _COVIDSENTI,
    source=ClassificationSource(data="sst2"),
    network=ClassifierNetwork(
        cell="lstm",
        hidden=100,
        embedding=100,
        dropout=0.5,
        dropout_inputs=True,
        word_dropout=0.1,
    ),
    training=dataclasses.replace(
        _COVIDSENTI.training, batch=64, epochs=8, learning_rate=0.002, buckets=3
    ),
)
PRESETS = {
    "tiny": Config(
        source=ClassificationSource(data=MADE),
        network=ClassifierNetwork(cell="lstm", hidden=16, embedding=16, pooling="attention"),
        training=dataclasses.replace(
            Config().training, batch=20, epochs=8, buckets=2, learning_rate=0.02, warmup=10
        ),
    ),
    "covidsenti": _COVIDSENTI,
    "sst2": _SST2,
    "reviews": dataclasses.replace(_SST2, source=ClassificationSource(data="reviews")),
}
