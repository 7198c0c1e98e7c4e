"""Settings of `char_lm`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.source import Source
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.plan import Plan
from rnnlab.training.settings import LanguageNetwork


@dataclasses.dataclass(frozen=True)
class Training(settings.Training):
    """How the network is trained on windows of the text."""

    #: Steps of a window, through which the gradient flows.
    length: int = 64

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, length=1)


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read, by which network, trained how."""

    #: The text.
    source: Source = Source(corpus="tiny_shakespeare")
    #: The network.
    network: LanguageNetwork = LanguageNetwork(cell="lstm", hidden=256)
    #: Its training.
    training: Training = Training(
        batch=32,
        length=64,
        steps=2000,
        learning_rate=0.004,
        schedule="cosine",
        warmup=100,
        evaluate_every=500,
        checkpoint_every=500,
    )
    #: Training steps after which a text is generated and kept, with an evaluation.
    samples: tuple[int, ...] = (100, 300, 500, 700, 1200, 2000)
    #: Characters of a generated text.
    sample_characters: int = 500
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, samples=1, sample_characters=1)
        checks.seed(self, "seed")

    def plan(self) -> Plan:
        """How long training is."""
        training = self.training
        return training.plan(
            evaluate_at=tuple(step for step in self.samples if step <= training.steps),
            best="validation",
            speed_unit="characters",
            units_per_update=training.batch * training.length,
        )


_DEFAULT = Config()

PRESETS = {
    "tiny": Config(
        source=Source(),
        network=LanguageNetwork(cell="lstm", hidden=64),
        training=dataclasses.replace(
            _DEFAULT.training,
            batch=16,
            length=32,
            steps=300,
            learning_rate=0.01,
            warmup=20,
            evaluate_every=100,
            checkpoint_every=100,
        ),
        samples=(100, 300),
        sample_characters=200,
    ),
    "large": Config(
        network=LanguageNetwork(cell="lstm", layers=2, hidden=384, dropout=0.3),
        training=dataclasses.replace(_DEFAULT.training, batch=64, steps=3000, learning_rate=0.003),
    ),
}
