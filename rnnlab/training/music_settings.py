"""Settings of a network that writes music."""

from __future__ import annotations

import dataclasses

from rnnlab.run import checks
from rnnlab.training import settings


@dataclasses.dataclass(frozen=True)
class MusicNetwork(settings.Network):
    """A network that reads frames of a piano roll and predicts the next one."""

    #: Hidden units of each layer; 0 takes as many as `parameters` allows.
    hidden: int = 0
    #: Parameters of the network at most, where `hidden` is 0.
    parameters: int = 300_000

    #: Whether the readout sees the last frame itself, besides what the layers make of it.
    skip: bool = True

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "compute", ("float32",))
        checks.at_least(self, hidden=0, parameters=1)
        if self.hidden:
            super().__post_init__()
        else:
            dataclasses.replace(self, hidden=1)
