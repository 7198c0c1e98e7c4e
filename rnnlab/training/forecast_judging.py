"""A forecaster judged on a split of a series: by its forecasts, and by what becomes of it alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlab.arrays import Float
from rnnlab.combinators.feedback import unshown
from rnnlab.gradients import lyapunov_exponents
from rnnlab.training.forecast_scores import (
    histogram_distance,
    normalised_errors,
    spectrum_distance,
    valid_steps,
)
from rnnlab.training.forecasting import (
    Forecaster,
    following,
    forecasts,
    free_run,
    starts_of,
    warmed,
)
from rnnlab.training.forecasting_settings import Forecasts
from rnnlab.training.series import Series

#: Copies that run on side by side, and of their steps the share that is left out before statistics
#: are taken.
SIDE_BY_SIDE, SETTLING = 8, 0.2


class Judged(NamedTuple):
    """How forecasts from several starts turn out.

    Attributes:
        predicted: the forecasts.
        errors: of each step, in standard deviations.
        valid: valid time of each, in Lyapunov times.
    """

    predicted: Float[np.ndarray, "T n D"]
    errors: Float[np.ndarray, "T n"]
    valid: Float[np.ndarray, "n"]


def judge(
    forecaster: Forecaster,
    observed: Float[np.ndarray, "steps D"],
    lyapunov_steps: float,
    settings: Forecasts,
) -> Judged:
    """Forecasts over a split.

    Args:
        forecaster: the forecaster.
        observed: the split, standardised.
        lyapunov_steps: steps of one Lyapunov time.
        settings: how it is judged.
    """
    starts = starts_of(observed, settings.starts, settings.before, settings.ahead)
    predicted = forecasts(forecaster, observed, starts, settings.before, settings.ahead)
    errors = normalised_errors(predicted, following(observed, starts, settings.ahead))
    return Judged(predicted, errors, valid_steps(errors, settings.threshold) / lyapunov_steps)


def long_run(
    forecaster: Forecaster, observed: Float[np.ndarray, "steps D"], settings: Forecasts
) -> Float[np.ndarray, "T n D"]:
    """What copies of a forecaster make of themselves, without the first steps."""
    state = _warm(forecaster, observed, settings)
    _, alone = free_run(forecaster, state, settings.long)
    return alone[round(SETTLING * len(alone)) :]


def distances(
    alone: Float[np.ndarray, "T n D"], observed: Float[np.ndarray, "steps D"]
) -> dict[str, float]:
    """How far the statistics of a long run are from those of a split, each 0 to 1."""
    states = alone.reshape(-1, alone.shape[-1])
    return {
        "distance of histograms": histogram_distance(states, observed),
        "distance of spectra": spectrum_distance(alone, observed[:, None]),
    }


def largest_exponents(
    forecaster: Forecaster, series: Series, settings: Forecasts
) -> Float[np.ndarray, "n"]:
    """The largest Lyapunov exponent of each copy that runs by itself, for each unit of time.

    It is that of the joint state of cell and prediction; NaN where the copy overflows.
    """
    measured = lyapunov_exponents(
        forecaster.cell,
        forecaster.params,
        unshown(settings.long, (SIDE_BY_SIDE,), forecaster.cell.features, forecaster.dtype),
        _warm(forecaster, series.test, settings),
        count=1,
        discard=round(SETTLING * settings.long),
    )
    return np.asarray(measured.exponents, np.float64)[:, 0] / series.interval


def _warm(forecaster: Forecaster, observed: np.ndarray, settings: Forecasts) -> Any:
    """The states of the copies after their warm-ups, at starts evenly over a split."""
    starts = starts_of(observed, SIDE_BY_SIDE, settings.before, 1)
    before = observed[np.arange(-settings.before, 0)[:, None] + starts]
    return warmed(forecaster, before)[0]
