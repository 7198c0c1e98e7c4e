"""Settings of a network that forecasts a series."""

from __future__ import annotations

import dataclasses

from rnnlab import cells, strategies
from rnnlab.combinators import Feedback, Stack
from rnnlab.run import checks


@dataclasses.dataclass(frozen=True)
class ForecastNetwork:
    """A stack of recurrent layers of one kind that predicts the next observation."""

    #: A cell by its name in rnnlab.cells.CELLS: lstm, gru, tanh, ...; or MODULE:NAME of your own.
    cell: str = "lstm"
    #: Number of layers.
    layers: int = 1
    #: Hidden units of each layer.
    hidden: int = 64
    #: Whether the readout gives the change from one observation to the next, and not the next.
    residual: bool = True
    #: How sequences are run in training: autodiff, rematerialised, truncated, ...
    strategy: str = "autodiff"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, layers=1, hidden=1)
        strategies.by_name(self.strategy)
        self.forecaster(1)

    def forecaster(self, features: int) -> Feedback:
        """The network for observations of that many numbers."""
        layers = tuple(cells.by_name(self.cell, self.hidden) for _ in range(self.layers))
        inside = layers[0] if self.layers == 1 else Stack(layers)
        return Feedback(inside, features, self.residual)
