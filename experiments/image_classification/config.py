"""Settings of `image_classification`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.images import COUNTS, SIDES
from rnnlab.data.source import MADE, ImageSource
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.convolutional_settings import ConvolutionalNetwork
from rnnlab.training.plan import Plan


@dataclasses.dataclass(frozen=True)
class Training(settings.Epochs):
    """How the network is trained on shuffled images."""

    #: Times that the training images are read.
    epochs: int = 10


@dataclasses.dataclass(frozen=True)
class Config:
    """What is looked at, by which network, trained how."""

    #: The images.
    source: ImageSource = ImageSource(images="mnist")
    #: The network.
    network: ConvolutionalNetwork = ConvolutionalNetwork()
    #: Its training. A dispatch of several updates takes as many times as long to compile.
    training: Training = Training(
        batch=64,
        epochs=10,
        learning_rate=0.002,
        schedule="cosine",
        warmup=100,
        checkpoint_every=430,
        dispatch=1,
    )
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.seed(self, "seed")
        checks.one_of(self.source, "images", tuple(COUNTS))
        self.network.check_side(SIDES[self.source.images])
        count, batch = COUNTS[self.source.images][0], self.training.batch
        if batch > count:
            raise UsageError(
                f"batch={batch}: must be within 1 .. {count}, the number of training images"
            )
        self.plan()
        self.training.make_optimiser(self.steps)

    @property
    def epoch(self) -> int:
        """Training steps of an epoch."""
        return COUNTS[self.source.images][0] // self.training.batch

    @property
    def steps(self) -> int:
        """Training steps."""
        return self.training.epochs * self.epoch

    def plan(self) -> Plan:
        """How long training is."""
        return self.training.epochs_plan(
            self.epoch,
            best="error",
            speed_unit="images",
            units_per_update=self.training.batch,
        )


PRESETS = {
    "tiny": Config(
        source=ImageSource(images=MADE),
        network=ConvolutionalNetwork(channels=(8, 16), size=3, hidden=32, dropout=0.1, shift=0),
        training=dataclasses.replace(
            Config().training, batch=20, epochs=4, learning_rate=0.005, warmup=20
        ),
    ),
}
