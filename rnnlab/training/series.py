"""Series by the names that flags use: samples of a chaotic system, or the columns of a file."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from rnnlab import systems
from rnnlab.arrays import Float
from rnnlab.data.series_file import Table, read_series
from rnnlab.data.source import Folders, found
from rnnlab.errors import UsageError
from rnnlab.run import checks

LASER = "santa_fe_laser"


@dataclasses.dataclass(frozen=True)
class SeriesSource(Folders):
    """Which series is forecast."""

    #: lorenz, mackey_glass, kuramoto_sivashinsky, santa_fe_laser (recorded), or the path of a text
    #: file with a row for each step and a column for each variable.
    series: str = "lorenz"
    #: Columns of a file; empty for all.
    columns: tuple[str, ...] = ()
    #: Samples of a system to train on; for each of validation and test there are half as many, of
    #: other trajectories. What was recorded is cut in time: 70, 15 and 15 %.
    samples: int = 20_000
    #: Steps of a recorded series in which small errors grow by e, by which the time of a forecast
    #: is counted; a system knows its own.
    lyapunov_steps: float = 1.0

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, samples=100)
        checks.positive(self, "lyapunov_steps")
        checks.distinct(self, "columns")
        if self.columns and self.series in (*systems.SYSTEMS, LASER):
            raise UsageError(f"columns={self.columns}: only a file has columns to choose")


class Series(NamedTuple):
    """A series, standardised by what is there to train on.

    Attributes:
        names: of the variables.
        train: float32.
        validation: float32.
        test: float32.
        mean: of each variable, in its own units, float64.
        scale: standard deviation of each variable, float64.
        interval: time of a step, in the units of the system; 1 for a file.
        lyapunov_steps: steps of one Lyapunov time.
        exponent: the largest Lyapunov exponent for each unit of time, as published; None where it
            is not known.
    """

    names: tuple[str, ...]
    train: Float[np.ndarray, "steps D"]
    validation: Float[np.ndarray, "steps D"]
    test: Float[np.ndarray, "steps D"]
    mean: Float[np.ndarray, "D"]
    scale: Float[np.ndarray, "D"]
    interval: float
    lyapunov_steps: float
    exponent: float | None

    @property
    def unit(self) -> str:
        """What the time of a forecast is counted in."""
        known = self.exponent is not None or self.lyapunov_steps != 1
        return "Lyapunov times" if known else "steps"


def read(source: SeriesSource, seed: int = 0) -> Series:
    """The series, split.

    Args:
        source: which one.
        seed: of the trajectories of a system.

    Raises:
        UsageError: a file that cannot be read, or a variable that is constant in it.
        RunError: a data set can be neither found nor downloaded, or is damaged.
    """
    if source.series in systems.SYSTEMS:
        return _sampled(systems.by_name(source.series), source.samples, seed)
    if source.series == LASER:
        load = found("rnnlab.data.santa_fe_laser", "load_laser")
        table = Table(("intensity",), load(source.data_dir or None, source.manual_dir or None))
    else:
        table = read_series(source.series, source.columns)
    values, count = table.values, len(table.values)
    names = table.names or tuple(f"x{place}" for place in range(values.shape[1]))
    cuts = round(0.7 * count), round(0.85 * count)
    parts = values[: cuts[0]], values[cuts[0] : cuts[1]], values[cuts[1] :]
    return _standardised(source.series, names, parts, 1.0, source.lyapunov_steps, None)


def _sampled(system: systems.System, samples: int, seed: int) -> Series:
    """Three trajectories of a system: one to train on, and of two others the first half."""
    ys = systems.trajectory(system, samples, batch=3, seed=seed)
    parts = ys[:, 0], ys[: samples // 2, 1], ys[: samples // 2, 2]
    lyapunov, name = system.steps_per_exponent, type(system).__name__
    return _standardised(name, system.names, parts, system.interval, lyapunov, system.EXPONENT)


def _standardised(
    what: str,
    names: tuple[str, ...],
    parts: tuple[np.ndarray, np.ndarray, np.ndarray],
    interval: float,
    lyapunov_steps: float,
    exponent: float | None,
) -> Series:
    train = parts[0]
    if len(train) < 2:
        raise UsageError(f"{what}: has too few rows to train on")
    mean, scale = train.mean(axis=0), train.std(axis=0)
    for name, deviation, middle in zip(names, scale, mean, strict=True):
        if not deviation > 1e-12 * max(1.0, abs(middle)):
            raise UsageError(f"{what}: {name} is constant; there is nothing to forecast")
    ready = ((part - mean) / scale for part in parts)
    train, validation, test = (part.astype(np.float32) for part in ready)
    return Series(names, train, validation, test, mean, scale, interval, lyapunov_steps, exponent)
