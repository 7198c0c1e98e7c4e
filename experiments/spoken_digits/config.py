"""Settings of `spoken_digits`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.recordings import FSDD, RATE, SpeechSource
from rnnlab.data.source import MADE
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.plan import Plan
from rnnlab.training.speech_settings import Augmentation, Front, SpeechNetwork


@dataclasses.dataclass(frozen=True)
class Training(settings.Bucketed):
    """How the network is trained on shuffled recordings."""

    #: Times that the recordings are heard.
    epochs: int = 20
    #: Buckets of recordings of similar lengths, at most.
    buckets: int = 4

    def __post_init__(self) -> None:
        """Checks every field but `warmup`, whose limit depends on the number of recordings."""
        super().__post_init__()
        checks.at_least(self, buckets=1)


@dataclasses.dataclass(frozen=True)
class Config:
    """What is heard, by which network, trained how."""

    #: The recordings.
    source: SpeechSource = SpeechSource(data=FSDD)
    #: How sound becomes frames.
    front: Front = Front()
    #: The network.
    network: SpeechNetwork = SpeechNetwork(cell="gru", hidden=96, dropout=0.3)
    #: Its training.
    training: Training = Training(
        batch=32,
        learning_rate=0.004,
        schedule="cosine",
        warmup=50,
        clip_norm=1.0,
        evaluate_every=150,
        checkpoint_every=300,
    )
    #: How training recordings are changed.
    augmentation: Augmentation = Augmentation()
    #: Whether baselines run beside the network.
    baseline: bool = True
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.seed(self, "seed")
        if self.front.rate != RATE:
            raise UsageError(f"rate={self.front.rate}: must be {RATE}, that of the recordings")
        self.plan(10**6)

    def plan(self, epoch: int) -> Plan:
        """How long training is, for epochs of that many training steps."""
        return self.training.epochs_plan(
            epoch,
            best="loss",
            speed_unit="recordings",
            units_per_update=self.training.batch,
        )


_FSDD = Config()

PRESETS = {
    "tiny": Config(
        source=SpeechSource(data=MADE),
        network=dataclasses.replace(_FSDD.network, hidden=24, dropout=0.1),
        training=dataclasses.replace(
            _FSDD.training,
            epochs=15,
            buckets=1,
            learning_rate=0.01,
            warmup=10,
            evaluate_every=0,
        ),
        augmentation=Augmentation(speed=0.05, gain_db=3.0, shift=0.02),
    ),
}
