"""Settings of `music`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.music import JSB, MusicSource
from rnnlab.data.source import MADE
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.music_settings import MusicNetwork
from rnnlab.training.plan import Plan


@dataclasses.dataclass(frozen=True)
class Training(settings.Bucketed):
    """How the network is trained on shuffled chorales."""

    #: Times that the chorales are read.
    epochs: int = 80
    #: Semitones by which a chorale moves up or down, at most, within the range of all chorales; 0
    #: leaves them as they are, which is C for the chorales of Bach in this data set.
    transpose: int = 0
    #: Buckets of chorales of similar lengths, at most.
    buckets: int = 2

    def __post_init__(self) -> None:
        """Checks every field but `warmup`, whose limit depends on the number of chorales."""
        super().__post_init__()
        checks.at_least(self, transpose=0, buckets=1)


@dataclasses.dataclass(frozen=True)
class Config:
    """What is learned, by which network, trained how, and what it writes."""

    #: The chorales.
    source: MusicSource = MusicSource(data=JSB)
    #: The network.
    network: MusicNetwork = MusicNetwork(cell="lstm", dropout=0.6)
    #: Its training.
    training: Training = Training(
        batch=8,
        learning_rate=0.003,
        schedule="cosine",
        warmup=100,
        clip_norm=1.0,
        evaluate_every=100,
        checkpoint_every=500,
    )
    #: Beats of a chorale that the network writes, at most.
    beats: int = 64
    #: Beats of a chorale of the test split that it continues.
    prompt: int = 16
    #: Below 1 likely chords become likelier still, 0 takes the likeliest keys.
    temperature: float = 1.0
    #: Chorales that are written side by side below a melody, of which one is drawn.
    particles: int = 64
    #: Melodies of the test split that are harmonised, to see what particles are good for.
    melodies: int = 20
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, beats=1, prompt=1, particles=1, melodies=1)
        checks.non_negative(self, "temperature")
        checks.seed(self, "seed")
        self.plan(10**6, 1)

    def plan(self, epoch: int, frames: int) -> Plan:
        """How long training is.

        Args:
            epoch: training steps of an epoch.
            frames: of a batch, on average.
        """
        return self.training.epochs_plan(
            epoch, best="nats", speed_unit="frames", units_per_update=frames
        )


_JSB = Config()

PRESETS = {
    "tiny": Config(
        source=MusicSource(data=MADE),
        network=dataclasses.replace(_JSB.network, hidden=48, dropout=0.1),
        training=dataclasses.replace(
            _JSB.training,
            epochs=12,
            learning_rate=0.01,
            warmup=10,
            evaluate_every=0,
        ),
        beats=24,
        prompt=8,
        particles=16,
        melodies=5,
    ),
}
