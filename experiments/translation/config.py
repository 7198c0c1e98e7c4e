"""Settings of `translation`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.pairs import PairSource
from rnnlab.data.source import MADE
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.plan import Plan
from rnnlab.training.translator_settings import TranslatorNetwork

UNITS = ("pieces", "words")


@dataclasses.dataclass(frozen=True)
class Training(settings.Bucketed):
    """How the network is trained on pairs of sentences of similar lengths."""

    #: Times that the training pairs are read.
    epochs: int = 8
    #: Probability that the labels give to all symbols evenly, below 1.
    smoothing: float = 0.1
    #: Probability with which the decoder reads its own symbol instead of the right one.
    own: float = 0.0
    #: Longest sentences of the buckets of similar lengths, in symbols; `</s>` and `<s>` count, and
    #: pairs with a longer sentence are not trained on.
    boundaries: tuple[int, ...] = (10, 13, 16, 20, 25, 31, 39, 49, 61, 76)

    def __post_init__(self) -> None:
        """Checks every field but `warmup`, which depends on the number of pairs."""
        super().__post_init__()
        checks.at_least(self, boundaries=2)
        checks.increasing(self, "boundaries")
        if not 0 <= self.smoothing < 1:
            raise UsageError(f"smoothing={self.smoothing}: must be at least 0 and below 1")
        if not 0 <= self.own <= 1:
            raise UsageError(f"own={self.own}: must be within 0 .. 1")


@dataclasses.dataclass(frozen=True)
class Writing:
    """How translations are written."""

    #: Beams of beam search.
    beams: int = 5
    #: Power of the length penalty of Wu et al. (2016); 0 for none.
    penalty: float = 1.0

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, beams=1)
        checks.non_negative(self, "penalty")


@dataclasses.dataclass(frozen=True)
class Config:
    """What is translated, by which network, trained how."""

    #: The pairs of sentences.
    source: PairSource = PairSource(pairs="multi30k", source_language="de", target_language="en")
    #: What sentences are cut into: pieces (of words) or words.
    units: str = "pieces"
    #: Size of the vocabulary of each language, at most.
    symbols: int = 4000
    #: The network.
    network: TranslatorNetwork = TranslatorNetwork()
    #: Its training.
    training: Training = Training(
        batch=64,
        learning_rate=0.002,
        schedule="cosine",
        warmup=200,
        checkpoint_every=200,
    )
    #: How translations are written.
    writing: Writing = Writing()
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.one_of(self, "units", UNITS)
        checks.at_least(self, symbols=6)
        checks.seed(self, "seed")
        self.plan(1)

    def plan(self, epoch: int) -> Plan:
        """How long training is, for epochs of that many training steps."""
        return self.training.epochs_plan(
            epoch, best="loss", speed_unit="sentences", units_per_update=self.training.batch
        )


_DEFAULT = Config()

PRESETS = {
    "tiny": Config(
        source=PairSource(pairs=MADE),
        symbols=200,
        network=dataclasses.replace(
            _DEFAULT.network, hidden=32, decoder_hidden=64, embedding=32, readout=32, dropout=0.1
        ),
        training=dataclasses.replace(
            _DEFAULT.training, batch=20, epochs=6, learning_rate=0.01, warmup=20, boundaries=(24,)
        ),
        writing=Writing(beams=2),
    ),
}
