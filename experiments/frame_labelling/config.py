"""Settings of `frame_labelling`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.labelled_frames import GESTURES, FrameSource
from rnnlab.data.source import MADE
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.frame_settings import FrameNetwork
from rnnlab.training.plan import Plan


@dataclasses.dataclass(frozen=True)
class Training(settings.Training):
    """How the network is trained on random windows."""

    #: Frames of a window, whose state starts anew; videos are labelled as a whole.
    window: int = 256
    #: Whether half of the windows are seen in a mirror: left is right.
    mirror: bool = True
    #: Power of the inverse of how many frames have a label, by which they count: 0 for all frames
    #: the same, 1 for all labels the same. A conditional random field takes no notice of it.
    balance: float = 0.5

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, window=1)
        checks.non_negative(self, "balance")


@dataclasses.dataclass(frozen=True)
class Baselines:
    """What labels a frame by a window of frames, without a network."""

    #: Frames of the window, of which `every` so many are read: those before a frame, or as many on
    #: both of its sides where the network reads in both directions.
    reach: int = 30
    #: Frames from one that is read to the next.
    every: int = 3
    #: Rounds of gradient boosting at most; validation chooses how many.
    rounds: int = 80
    #: Whether gradient boosting is measured too on frames that were shuffled into training and
    #: test, which tells how much such a split leaks.
    shuffled: bool = True

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, reach=0, every=1, rounds=1)


@dataclasses.dataclass(frozen=True)
class Config:
    """What is labelled, by which network, trained how, beside what."""

    #: The videos.
    source: FrameSource = FrameSource(data=GESTURES)
    #: The network.
    network: FrameNetwork = FrameNetwork(cell="gru", hidden=16, dropout=0.3)
    #: Its training.
    training: Training = Training(
        steps=200,
        batch=8,
        learning_rate=0.01,
        schedule="cosine",
        clip_norm=1.0,
        dispatch=10,
        evaluate_every=20,
        checkpoint_every=100,
    )
    #: What is measured beside it.
    baselines: Baselines = Baselines()
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.seed(self, "seed")
        self.plan()

    def plan(self) -> Plan:
        """How long training is."""
        training = self.training
        frames = training.batch * training.window
        return training.plan(best="miss", speed_unit="frames", units_per_update=frames)


_GESTURES = Config()

PRESETS = {
    "tiny": Config(
        source=FrameSource(data=MADE),
        network=dataclasses.replace(_GESTURES.network, hidden=24, dropout=0.1, shift=0.1),
        training=dataclasses.replace(
            _GESTURES.training, steps=120, window=96, learning_rate=0.02, evaluate_every=40
        ),
        baselines=Baselines(reach=15, rounds=10),
    ),
}
