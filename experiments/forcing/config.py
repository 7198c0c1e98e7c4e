"""Settings of `forcing`."""

from __future__ import annotations

import dataclasses

from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training.forecasting_settings import Forecasts, WindowTraining
from rnnlab.training.series import SeriesSource
from rnnlab.training.starts import Population

#: Dimensions of the result, outermost first.
GRID = ("network", "every")
#: What an observation that is shown replaces.
STATE, INPUT = "state", "input"


@dataclasses.dataclass(frozen=True)
class Config:
    """Which networks learn which series, shown how often."""

    #: The series.
    source: SeriesSource = SeriesSource()
    #: The networks.
    population: Population = Population(("lstm",), seeds=3, hidden=32, strategy="autodiff")
    #: τ: after the lead of a window one observation is shown in so many steps. All that is left of
    #: the window, or more, is never again.
    intervals: tuple[int, ...] = (1, 5, 15, 30, 60, 120, 200)
    #: What an observation that is shown replaces: state, set by the inverse of the readout
    #: as in the source, in a network without input; or input, the prediction that it would
    #: read, while the state goes on.
    replaced: str = "state"
    #: Their training.
    training: WindowTraining = WindowTraining(
        steps=3000,
        batch=16,
        learning_rate=0.003,
        schedule="cosine",
        warmup=100,
        length=220,
        dispatch=100,
        evaluate_every=3000,
        checkpoint_every=1000,
    )
    #: How they are judged.
    forecasts: Forecasts = Forecasts()
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.one_of(self, "replaced", (STATE, INPUT))
        checks.increasing(self, "intervals")
        checks.at_least(self, intervals=1)
        rest = self.training.length - self.training.lead
        never = [every for every in self.intervals if every >= rest]
        if len(never) > 1:
            raise UsageError(
                f"intervals={self.intervals}: {never[0]} and {never[1]} are the same, for only "
                f"{rest} steps of a window follow its lead"
            )


_LORENZ = Config()

PRESETS = {
    "tiny": Config(
        source=SeriesSource(samples=2000),
        population=Population(("gru",), seeds=2, hidden=12, strategy="autodiff"),
        intervals=(1, 10),
        training=dataclasses.replace(
            _LORENZ.training,
            steps=200,
            learning_rate=0.01,
            warmup=10,
            length=30,
            lead=10,
            dispatch=50,
            evaluate_every=200,
        ),
        forecasts=Forecasts(starts=8, before=30, ahead=150, long=400),
    ),
}
