"""Settings of networks that forecast a series, of their training, and of how they are judged."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rnnlab import cells, strategies
from rnnlab.combinators import Feedback, Stack
from rnnlab.errors import UsageError
from rnnlab.run import checks
from rnnlab.training import settings

if TYPE_CHECKING:  # modules of models would slow down `--help`
    from rnnlab.training.forecasting import Windows


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


@dataclasses.dataclass(frozen=True)
class WindowTraining(settings.Training):
    """How a network is trained on windows of a series."""

    #: Steps of a window, its lead included.
    length: int = 100
    #: First steps of a window at which every observation is shown, and no error counts.
    lead: int = 20
    #: Standard deviation of noise that is added to every input, of standardised variables.
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, length=1, lead=0)
        checks.non_negative(self, "noise")
        if self.lead >= self.length:
            raise UsageError(f"lead={self.lead}: must be below length={self.length}")

    def windows(self, every: int) -> Windows:
        """What is shown of a series, where after the lead one observation in `every` is."""
        from rnnlab.training.forecasting import Windows

        return Windows(self.length, self.lead, every, self.noise)


@dataclasses.dataclass(frozen=True)
class Forecasts:
    """How forecasts are made and judged."""

    #: Starts of forecasts, evenly over a split.
    starts: int = 50
    #: Observations that are shown before a start.
    before: int = 100
    #: Steps of a forecast.
    ahead: int = 600
    #: A forecast is valid as long as its error, in standard deviations of the variables, is below.
    threshold: float = 0.5
    #: Steps that each of 8 copies of a forecaster, from different starts, runs on by itself, to
    #: measure its statistics and exponents.
    long: int = 6000

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, starts=2, before=1, ahead=2, long=100)
        checks.positive(self, "threshold")
