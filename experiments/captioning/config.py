"""Settings of `captioning`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.captions import MADE, NLVR, SCENES, SHAPES, SOURCES, CaptionSource
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.captioner_settings import CaptionerNetwork
from rnnlab.training.plan import Plan


@dataclasses.dataclass(frozen=True)
class Training(settings.Training):
    """How the network is trained on images with sentences."""

    #: Probability that the labels give to all symbols evenly.
    smoothing: float = 0.0
    #: With attention: weight of the doubly stochastic regulariser, for which the attention of all
    #: steps together is one at each place.
    doubly_stochastic: float = 0.001
    #: Training steps at the start whose scenes have one digit: what a digit is, is learned there,
    #: before which of several is named next.
    alone: int = 800

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.non_negative(self, "smoothing", "doubly_stochastic")
        checks.at_least(self, alone=0)


@dataclasses.dataclass(frozen=True)
class Writing:
    """How captions are written."""

    #: Beams of beam search.
    beams: int = 3
    #: Power of the length penalty of Wu et al. (2016); 0 for none.
    penalty: float = 1.0

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, beams=1)
        checks.non_negative(self, "penalty")


@dataclasses.dataclass(frozen=True)
class Config:
    """What is described, by which network, trained how."""

    #: The images with their sentences.
    source: CaptionSource = CaptionSource()
    #: The network.
    network: CaptionerNetwork = CaptionerNetwork()
    #: Its training. A dispatch of several updates takes as many times as long to compile.
    training: Training = Training(
        batch=64,
        steps=6000,
        learning_rate=0.002,
        schedule="cosine",
        warmup=200,
        evaluate_every=1000,
        checkpoint_every=500,
        dispatch=1,
    )
    #: How captions are written.
    writing: Writing = Writing()
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.seed(self, "seed")
        checks.one_of(self.source, "captions", SOURCES)
        self.network.check_image(*SHAPES[self.source.captions][:2])

    @property
    def of_scenes(self) -> bool:
        """Whether images are scenes, whose sentences are right or wrong."""
        return self.source.captions in (SCENES, MADE)

    def plan(self) -> Plan:
        """How long training is."""
        return self.training.plan(
            best="miss", speed_unit="images", units_per_update=self.training.batch
        )


_DEFAULT = Config()

PRESETS = {
    "nlvr": Config(
        source=CaptionSource(captions=NLVR),
        network=dataclasses.replace(
            _DEFAULT.network, channels=(16, 32, 32), pooled=3, features=64, dropout=0.4
        ),
        training=dataclasses.replace(
            _DEFAULT.training,
            optimiser="adamw",
            steps=400,
            learning_rate=0.001,
            warmup=100,
            smoothing=0.1,
            alone=0,
            evaluate_every=50,
            checkpoint_every=100,
        ),
    ),
    "tiny": Config(
        source=CaptionSource(captions=MADE),
        network=dataclasses.replace(
            _DEFAULT.network,
            channels=(8, 16),
            pooled=2,
            features=32,
            hidden=48,
            embedding=16,
            readout=48,
        ),
        training=dataclasses.replace(
            _DEFAULT.training,
            batch=32,
            steps=1200,
            learning_rate=0.005,
            warmup=100,
            alone=400,
            evaluate_every=400,
            checkpoint_every=400,
        ),
        writing=Writing(beams=2),
    ),
}
