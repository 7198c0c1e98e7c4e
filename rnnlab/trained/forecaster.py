"""A trained network that forecasts series in text files.

Its description has the `names` of the variables, their `mean` and `scale`, how many observations
it is shown before a forecast, `warmup`, and the steps of a Lyapunov time, `lyapunov_steps`.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rnnlab.arrays import Float
from rnnlab.data.series_file import read_series
from rnnlab.errors import UsageError
from rnnlab.run.files import atomic_write, expanded
from rnnlab.run.workdir import Workdir
from rnnlab.sizes import check_at_least
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.request import read_request
from rnnlab.training.forecast_spread import ensemble
from rnnlab.training.forecasting import Forecaster, free_run, warmed
from rnnlab.training.forecasting_settings import ForecastNetwork
from rnnlab.training.series import Series

#: Steps of a forecast at most, members of an ensemble, and numbers of all of them together.
STEPS, MEMBERS, NUMBERS = 100_000, 10_000, 50_000_000
#: Observations beyond the warm-up that a series needs, to know the errors of one step.
ERRORS = 10
#: The middle share of an ensemble between `low` and `high`.
BAND = 0.9


def describe(workdir: Workdir, network: ForecastNetwork, series: Series, warmup: int) -> None:
    """Writes the description of a network that forecasts.

    Args:
        workdir: of the run.
        network: its settings.
        series: what it is trained on.
        warmup: observations that it is shown before a forecast.
    """
    write_description(
        workdir,
        "series",
        network,
        names=list(series.names),
        mean=series.mean.tolist(),
        scale=series.scale.tolist(),
        warmup=warmup,
        lyapunov_steps=series.lyapunov_steps,
    )


def load(kept: Kept) -> SeriesModel:
    """The model that a work directory keeps."""
    network = ForecastNetwork(**kept.description["network"])
    names = tuple(kept.description["names"])
    cell = network.forecaster(len(names))
    step, params = kept.parameters(lambda key: cell.init(key, cell.features + 1, np.float32))
    return SeriesModel(
        Forecaster(cell, params),
        names,
        np.array(kept.description["mean"], float),
        np.array(kept.description["scale"], float),
        int(kept.description["warmup"]),
        float(kept.description["lyapunov_steps"]),
        network,
        kept.config,
        step,
    )


class Forecast(NamedTuple):
    """A forecast with its spread, in the units of the series.

    Attributes:
        values: what the network makes of its own predictions.
        low: below it is a twentieth of the ensemble.
        high: above it is a twentieth of the ensemble.
    """

    values: Float[np.ndarray, "T D"]
    low: Float[np.ndarray, "T D"]
    high: Float[np.ndarray, "T D"]


@dataclasses.dataclass(frozen=True)
class Request:
    """What a line asks for.

    Attributes:
        series: the text file with the observations, a row for each step.
        steps: that are forecast; 0 for four Lyapunov times, and 10 at least.
        members: forecasts of the ensemble that gives the spread.
        seed: of its noise.
        output: the text file that is written; empty for NAME-forecast.csv beside the file that is
            read. An older one is replaced.
    """

    series: str = ""
    steps: int = 0
    members: int = 100
    seed: int = 0
    output: str = ""

    def __post_init__(self) -> None:
        """Checks every field."""
        if not self.series:
            raise UsageError("needs the text file of a series")
        limits = {"steps": (0, STEPS), "members": (2, MEMBERS), "seed": (0, 2**31 - 1)}
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name}={getattr(self, name)}: must be within {least} .. {most}")
        if self.target == expanded(self.series):
            raise UsageError(f"output={self.output}: is the file that is read")

    @property
    def target(self) -> pathlib.Path:
        """The file that is written."""
        source = expanded(self.series)
        return expanded(self.output or source.with_name(f"{source.stem}-forecast.csv"))


@dataclasses.dataclass(frozen=True, eq=False)
class SeriesModel:
    """A trained network that forecasts a series.

    Attributes:
        forecaster: the network, for standardised observations.
        names: of the variables.
        mean: of each variable.
        scale: standard deviation of each variable.
        warmup: observations that are shown before a forecast.
        lyapunov_steps: steps of one Lyapunov time.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    forecaster: Forecaster = dataclasses.field(repr=False)
    names: tuple[str, ...]
    mean: Float[np.ndarray, "D"] = dataclasses.field(repr=False)
    scale: Float[np.ndarray, "D"] = dataclasses.field(repr=False)
    warmup: int
    lyapunov_steps: float
    network: ForecastNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    #: Of the files that its lines name.
    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".dat")

    def forecast(
        self,
        observed: Float[np.ndarray, "steps D"],
        steps: int,
        *,
        members: int = 100,
        seed: int = 0,
    ) -> Forecast:
        """What follows a series, with its spread.

        The spread is that of an ensemble whose members get noise at every step, like the errors
        that the network makes on this very series one step ahead.

        Args:
            observed: the last observations, the newest last; at least `warmup` + 10 of them.
            steps: to forecast, T.
            members: of the ensemble.
            seed: of its noise.

        Raises:
            UsageError: a series that is too short, constant, not finite or has another number of
                variables; or a number out of range.
        """
        steps, members = check_at_least("steps", steps, 1), check_at_least("members", members, 2)
        if steps * members * len(self.names) > NUMBERS:
            most = NUMBERS // (steps * len(self.names))
            raise UsageError(f"members={members}: of {steps:,} steps at most {most} can be kept")
        ready = self._standardised(observed)
        found = ensemble(self.forecaster, ready, self.warmup)
        before = ready[-max(self.warmup, 1) :]
        low, high = found.band(before, steps, members=members, level=BAND, seed=seed)
        _, values = free_run(self.forecaster, warmed(self.forecaster, before)[0], steps)
        return Forecast(*(part * self.scale + self.mean for part in (values, low, high)))

    def predict(self, lines: Sequence[str]) -> list[dict[str, Any]]:
        """Forecasts series in text files, and writes the forecasts as text files.

        Args:
            lines: names of files, or JSON with fields of `Request`, such as
                `{"series": "lorenz.csv", "steps": 200, "members": 50}`.

        Returns:
            For each line `{"line", "answer", "observed", "steps", "names", "forecast", "low",
            "high"}`: the file that was written, how many observations there were, and the numbers,
            a list for each step.

        Raises:
            UsageError: a line that asks for nothing, a file that is no series of these variables,
                or one that cannot be written. Nothing is written before all files have been read.
        """
        requests = [read_request(Request, line, "series") for line in lines]
        forecasts = [self._forecast(request) for request in requests]
        answers = []
        for line, request, (observed, forecast) in zip(lines, requests, forecasts, strict=True):
            try:
                path = atomic_write(request.target, self._text(forecast))
            except OSError as error:
                raise UsageError(f"output={request.target}: {error.strerror}") from error
            answers.append(
                {
                    "line": line,
                    "answer": str(path),
                    "observed": len(observed),
                    "steps": len(forecast.values),
                    "names": list(self.names),
                    "forecast": forecast.values.tolist(),
                    "low": forecast.low.tolist(),
                    "high": forecast.high.tolist(),
                }
            )
        return answers

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws the forecast of what a line asks for, which is not written as text.

        Args:
            line: as in `predict`.
            path: of the picture, which ends in .png, .pdf or .svg.

        Raises:
            UsageError: as in `predict`.
        """
        from rnnlab import plots
        from rnnlab.trained import forecast_picture

        observed, forecast = self._forecast(read_request(Request, line, "series"))
        with plots.style():
            figure = forecast_picture.plot(self.names, observed, forecast)
            plots.save(figure, path)

    def _forecast(self, request: Request) -> tuple[np.ndarray, Forecast]:
        """The observations of a file, and what follows them."""
        observed = read_series(request.series, self.names).values
        steps = request.steps or max(round(4 * self.lyapunov_steps), 10)
        try:
            made = self.forecast(observed, steps, members=request.members, seed=request.seed)
        except UsageError as error:
            raise UsageError(f"{request.series}: {error}") from error
        return observed, made

    def _standardised(self, observed: Any) -> Float[np.ndarray, "steps D"]:
        values = np.asarray(observed, np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.names):
            raise UsageError(
                f"a series of {', '.join(self.names)} has the shape [steps, {len(self.names)}], "
                f"and this {list(values.shape)}"
            )
        needed = self.warmup + ERRORS
        if len(values) < needed:
            raise UsageError(
                f"has {len(values)} steps; the warm-up of {self.warmup} and {ERRORS} more to know "
                f"the errors of one step need {needed}"
            )
        if not np.isfinite(values).all():
            raise UsageError("holds numbers that are not finite")
        for name, column in zip(self.names, values.T, strict=True):
            if np.ptp(column) == 0:
                raise UsageError(f"{name} is constant, which the network has never seen")
        return ((values - self.mean) / self.scale).astype(np.float32)

    def _text(self, forecast: Forecast) -> str:
        """A table with a row for each step: each variable, and its band."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        columns = [f"{name}{end}" for name in self.names for end in ("", "_low", "_high")]
        writer.writerow(["step", *columns])
        parts = np.stack([forecast.values, forecast.low, forecast.high], axis=-1)
        for step, row in enumerate(parts.reshape(len(parts), -1), start=1):
            writer.writerow([step, *(f"{value:.7g}" for value in row)])
        return file.getvalue()
