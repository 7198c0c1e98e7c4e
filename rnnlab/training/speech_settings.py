"""Settings of a network that listens."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rnnlab.combinators import Stack
from rnnlab.errors import UsageError
from rnnlab.layer import output_size
from rnnlab.run import checks
from rnnlab.training import settings

if TYPE_CHECKING:  # Flax would slow down `--help`
    from jax.typing import ArrayLike

    from rnnlab.nn import Functional
    from rnnlab.nn.mel import LogMel
    from rnnlab.training.speech import Listener

#: What is made of the outputs of a word.
POOLINGS = ("last", "mean", "max")


@dataclasses.dataclass(frozen=True)
class Front:
    """How sound becomes frames."""

    #: Samples of a second that the network hears.
    rate: int = 8000
    #: Milliseconds of a frame.
    window_ms: float = 25.0
    #: Milliseconds from one frame to the next.
    hop_ms: float = 10.0
    #: Bands of frequencies.
    bands: int = 40
    #: Lowest frequency in Hz.
    lowest: float = 60.0
    #: Frames of a step of the network.
    stacked: int = 3

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, rate=1, bands=1, stacked=1)
        for name in ("window_ms", "hop_ms"):
            if not getattr(self, name) * self.rate >= 1000:
                raise UsageError(f"{name}={getattr(self, name)}: must be a sample or more")
        self.log_mel()

    def log_mel(self) -> LogMel:
        """What makes the frames; the transform has the next power of two of samples."""
        from rnnlab.nn.mel import LogMel

        window = round(self.window_ms * self.rate / 1000)
        return LogMel(
            rate=self.rate,
            window=window,
            hop=round(self.hop_ms * self.rate / 1000),
            transform=1 << (window - 1).bit_length(),
            bands=self.bands,
            lowest=self.lowest,
            highest=self.rate / 2,
        )


@dataclasses.dataclass(frozen=True)
class SpeechNetwork(settings.Network):
    """A network that listens to words."""

    #: Whether the layers read in both directions, each with the hidden units; one that does not can
    #: answer while the sound comes.
    bidirectional: bool = True
    #: What is read of the outputs of a single word: last, mean or max.
    pooling: str = "mean"

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.one_of(self, "pooling", POOLINGS)
        checks.one_of(self, "compute", ("float32",))

    def stack(self, **cell_settings: Any) -> Stack:
        """The layers, in both directions where they read so, with dropout between them."""
        layers = super().stack(**cell_settings)
        return settings.both_ways(layers) if self.bidirectional else layers

    def listener(
        self, front: Front, answers: int, statistics: ArrayLike | None = None
    ) -> Functional[Listener]:
        """The network.

        Args:
            front: how sound becomes frames.
            answers: that there are, once or at each step.
            statistics: of the frames, as `rnnlab.nn.hearing.Hearing` has them; None leaves them to
                a checkpoint.
        """
        from rnnlab.nn import Functional, SequenceClassifier
        from rnnlab.nn.hearing import Hearing
        from rnnlab.training.speech import Listener

        cell = self.stack()
        backward = (output_size(cell) or 0) // 2 if self.bidirectional else 0

        def make(rngs: Any) -> Listener:
            hear = Hearing(front.log_mel(), stacked=front.stacked, statistics=statistics)
            more: Any = {"pooling": self.pooling, "backward": backward, "rngs": rngs}
            name = SequenceClassifier(cell, hear.features, answers, strategy=self.strategy, **more)
            return Listener(hear, name)

        return Functional(make)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How training sounds are changed, each anew at each time that it is read."""

    #: Speech is faster or slower by up to this share, its pitch with it.
    speed: float = 0.12
    #: Its high frequencies are softer or louder: the share of the sample before that is added, or
    #: taken away, at most.
    tilt: float = 0.5
    #: It is louder or softer by up to this many decibels.
    gain_db: float = 9.0
    #: The noise that is added is at least this many decibels below the sound, ...
    least_snr_db: float = 15.0
    #: ... and at most this many. 0 for both adds none.
    most_snr_db: float = 45.0
    #: Seconds of silence before it and after it, at most.
    shift: float = 0.1

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.non_negative(
            self, "speed", "tilt", "gain_db", "least_snr_db", "most_snr_db", "shift"
        )
        if not self.speed < 0.5:
            raise UsageError(f"speed={self.speed}: must be below 0.5")
        if not self.tilt < 1:
            raise UsageError(f"tilt={self.tilt}: must be below 1")
        if self.least_snr_db > self.most_snr_db:
            raise UsageError(
                f"least_snr_db={self.least_snr_db}: must be at most most_snr_db={self.most_snr_db}"
            )
