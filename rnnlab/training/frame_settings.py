"""Settings of a network that labels the frames of videos."""

from __future__ import annotations

import dataclasses
from typing import Any

from rnnlab.combinators import Stack
from rnnlab.errors import UsageError
from rnnlab.run import checks
from rnnlab.training import settings


@dataclasses.dataclass(frozen=True)
class FrameNetwork(settings.Network):
    """A network that reads the frames of a video and labels each."""

    #: Whether the layers read in both directions, each with the hidden units; else a frame is
    #: labelled before the next one is there.
    bidirectional: bool = False
    #: Whether a conditional random field judges all labels of a video together, which needs the
    #: frames to come, and so both directions.
    crf: bool = False
    #: Networks that are trained side by side, of whose probabilities the mean is taken.
    members: int = 5
    #: Frames by which the mean and variance of training count, which scale a video before anything
    #: is seen of it; many leave them as they are.
    prior: int = 300
    #: Standard deviation of the noise that is added to each number of a frame in training, in
    #: units of its own.
    noise: float = 0.2
    #: The same of the noise of the positions that stays throughout a window: another posture.
    shift: float = 0.1

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.one_of(self, "compute", ("float32",))
        checks.at_least(self, prior=1, members=1)
        checks.non_negative(self, "noise", "shift")
        if self.crf and not self.bidirectional:
            raise UsageError("crf=True: needs the frames to come; set bidirectional too")

    def stack(self, **cell_settings: Any) -> Stack:
        """The layers, in both directions where they read so, with dropout between them."""
        stack = super().stack(**cell_settings)
        return settings.both_ways(stack) if self.bidirectional else stack
