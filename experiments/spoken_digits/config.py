"""Settings of `spoken_digits`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.recordings import FSDD, RATE, SpeechSource, Strings
from rnnlab.data.source import MADE
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.plan import Plan
from rnnlab.training.speech_settings import Augmentation, Front, SpeechNetwork

SAID = ("digit", "string")


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
    #: What is said: digit (one in a recording), or string (several, one after the other).
    said: str = "digit"
    #: How recordings are joined to strings.
    strings: Strings = Strings()
    #: Beginnings that are kept in the search for the likeliest string; 1 takes the likeliest path.
    beam: int = 16
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
        checks.one_of(self, "said", SAID)
        checks.at_least(self, beam=1)
        checks.seed(self, "seed")
        if self.front.rate != RATE:
            raise UsageError(f"rate={self.front.rate}: must be {RATE}, that of the recordings")
        if self.said == "string" and self.network.pooling != "last":
            raise UsageError(
                f"pooling={self.network.pooling}: must be last, for strings are answered step by "
                "step"
            )
        self.plan(10**6)

    def plan(self, epoch: int) -> Plan:
        """How long training is, for epochs of that many training steps."""
        return self.training.epochs_plan(
            epoch,
            best="loss" if self.said == "digit" else "error",
            speed_unit="recordings" if self.said == "digit" else "strings",
            units_per_update=self.training.batch,
        )


_FSDD = Config()

PRESETS = {
    "strings": dataclasses.replace(
        _FSDD,
        said="string",
        network=dataclasses.replace(_FSDD.network, pooling="last"),
        training=dataclasses.replace(
            _FSDD.training, batch=16, epochs=50, warmup=100, evaluate_every=100
        ),
    ),
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
        augmentation=Augmentation(speed=0.05, tilt=0.2, gain_db=3.0, shift=0.02),
    ),
}
PRESETS["tiny_strings"] = dataclasses.replace(
    PRESETS["tiny"],
    said="string",
    network=dataclasses.replace(PRESETS["tiny"].network, pooling="last"),
    strings=Strings(shortest=2, longest=4, most_pause=0.15, seconds=1.5, validation=30, test=40),
    training=dataclasses.replace(PRESETS["tiny"].training, batch=20, epochs=60, evaluate_every=40),
)
