"""Settings of `forecasting`."""

from __future__ import annotations

import dataclasses

from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training.forecasting_settings import ForecastNetwork, Forecasts, WindowTraining
from rnnlab.training.series import SeriesSource


@dataclasses.dataclass(frozen=True)
class Training(WindowTraining):
    """How the network is trained on windows of the series."""

    #: After the lead one observation is shown in so many steps, and the network reads its own
    #: predictions between them; 1 shows all of them, 0 none.
    force_every: int = 1

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, force_every=0)


@dataclasses.dataclass(frozen=True)
class Baselines:
    """What the network is compared with, on the same starts."""

    #: Units of the echo-state network.
    units: int = 300
    #: Echo-state networks that are drawn at random, of which validation chooses one.
    trials: int = 12
    #: Last observations that the linear autoregression sees.
    lags: int = 20

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, units=1, trials=1, lags=1)


@dataclasses.dataclass(frozen=True)
class Judging(Forecasts):
    """How forecasts are made and judged, with their spread."""

    #: Forecasts with noise from each start, whose middle nine tenths should hold nine tenths of
    #: what follows.
    ensemble: int = 20

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, ensemble=2)


@dataclasses.dataclass(frozen=True)
class Config:
    """What is forecast, by which network, trained how, and how that is judged."""

    #: The series.
    source: SeriesSource = SeriesSource()
    #: The network.
    network: ForecastNetwork = ForecastNetwork()
    #: Its training.
    training: Training = Training(
        steps=6000,
        batch=32,
        learning_rate=0.003,
        schedule="cosine",
        warmup=100,
        evaluate_every=500,
        checkpoint_every=1000,
        dispatch=100,
    )
    #: What it is compared with.
    baselines: Baselines = Baselines()
    #: Its forecasts.
    forecasts: Judging = Judging()
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.seed(self, "seed")


_LORENZ = Config()

PRESETS = {
    "tiny": Config(
        source=SeriesSource(samples=3000),
        network=ForecastNetwork(cell="gru", hidden=16),
        training=dataclasses.replace(
            _LORENZ.training,
            steps=300,
            batch=16,
            learning_rate=0.01,
            warmup=10,
            length=40,
            lead=10,
            force_every=5,
            evaluate_every=100,
            dispatch=50,
        ),
        baselines=Baselines(units=60, trials=3, lags=5),
        forecasts=Judging(starts=10, before=30, ahead=200, long=600, ensemble=10),
    ),
    "mackey_glass": dataclasses.replace(
        _LORENZ,
        source=SeriesSource(series="mackey_glass"),
        training=dataclasses.replace(_LORENZ.training, length=200, lead=50),
        baselines=Baselines(lags=100),
        forecasts=Judging(before=200, ahead=1500),
    ),
    "laser": dataclasses.replace(
        _LORENZ,
        source=SeriesSource(series="santa_fe_laser"),
        training=dataclasses.replace(_LORENZ.training, steps=3000, length=100, lead=40),
        baselines=Baselines(lags=40),
        forecasts=Judging(ahead=200, long=3000),
    ),
    "kuramoto_sivashinsky": dataclasses.replace(
        _LORENZ,
        source=SeriesSource(series="kuramoto_sivashinsky"),
        network=ForecastNetwork(cell="gru", hidden=256),
        training=dataclasses.replace(_LORENZ.training, length=120, lead=40),
        baselines=Baselines(units=800),
        forecasts=Judging(ahead=800),
    ),
}
