"""Trains a network to forecast, and judges its forecasts beside those of others."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from experiments.forecasting.baselines import baselines
from experiments.forecasting.config import Config
from rnnlab.arrays import Params
from rnnlab.combinators import Feedback
from rnnlab.run import results
from rnnlab.run.workdir import Workdir
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.forecast_judging import distances, judge, largest_exponents, long_run
from rnnlab.training.forecast_spread import ensemble
from rnnlab.training.forecasting import Forecaster, following, forecast_learner, starts_of
from rnnlab.training.loop import Outcome, train
from rnnlab.training.series import Series
from rnnlab.training.summary import best_step

#: What the summary calls the network.
NETWORK = "network"
#: Of an ensemble, what lies within its band, and how many Lyapunov times after the start.
BAND, LEADS = 0.9, (0.5, 1.0, 2.0, 4.0)


class Problem(NamedTuple):
    """The series and the network.

    Attributes:
        series: standardised.
        cell: the network.
    """

    series: Series
    cell: Feedback


def problem(config: Config, series: Series) -> Problem:
    """What is to be learned, and by what."""
    return Problem(series, config.network.forecaster(series.train.shape[1]))


def fit(config: Config, workdir: Workdir, given: Problem) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training = config.training
    learner = forecast_learner(
        given.cell,
        given.series.train,
        training.windows(training.force_every),
        batch=training.batch,
        optimiser=training.make(),
        clip=training.clip(),
        strategy=config.network.strategy,
    )
    steps = training.batch * training.length
    return train(
        workdir,
        learner,
        training.plan(best="not valid", speed_unit="steps", units_per_update=steps),
        jax.random.key(config.seed),
        evaluator=Validation(config, given),
    )


class Validation(Evaluator):
    """How long forecasts of the validation split are valid."""

    def __init__(self, config: Config, given: Problem):
        self._config, self._given = config, given

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`valid` in Lyapunov times, and `not valid`, the share of the steps that are not."""
        del step
        series, settings = self._given.series, self._config.forecasts
        forecaster = Forecaster(self._given.cell, params)
        valid = judge(forecaster, series.validation, series.lyapunov_steps, settings).valid.mean()
        share = 1 - valid * series.lyapunov_steps / settings.ahead
        return {"valid": float(valid), "not valid": float(share)}


def summarise(
    config: Config, workdir: Workdir, given: Problem, outcome: Outcome, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test split is read only here.

    Args:
        config: of the run.
        workdir: gets the forecasts.
        given: the series and the network.
        outcome: of the training.
        params: of the best checkpoint.
    """
    series = given.series
    network = Forecaster(given.cell, params)
    others, reservoir = baselines(config, series)
    step = best_step(outcome)
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    judged = {
        name: judged_on_test(config, series, one)
        for name, one in {NETWORK: network, **others}.items()
    }
    data = xr.concat([*judged.values()], dim="forecaster").assign_coords(forecaster=[*judged])
    results.save_dataset(data, workdir.path(results.FILE))
    numbers: dict[str, Any] = {"best step": step, "validation valid time": evaluated["valid"]}
    for name, one in judged.items():
        numbers |= {f"{what} of {name}": value for what, value in one.attrs.items()}
    apart = distances(series.validation[:, None], series.test)
    numbers |= {f"{what} of the two splits": value for what, value in apart.items()}
    numbers |= exponent(config, series, network)
    numbers |= coverage(config, series, network)
    chosen = dataclasses.asdict(reservoir)
    numbers |= {f"echo-state network: {what}": value for what, value in chosen.items()}
    return numbers | {"parameters": sum(leaf.size for leaf in jax.tree.leaves(params))}


def judged_on_test(config: Config, series: Series, forecaster: Forecaster) -> xr.Dataset:
    """Forecasts of the test split and how valid they are, and a long run.

    The numbers among its attributes are: quartiles of the valid time, in Lyapunov times, the error
    of the first step, and distances of statistics from those of the test split.
    """
    settings = config.forecasts
    predicted, errors, valid = judge(forecaster, series.test, series.lyapunov_steps, settings)
    alone = long_run(forecaster, series.test, settings)
    low, median, high = np.quantile(valid, (0.25, 0.5, 0.75))
    numbers = {
        "valid time": float(median),
        "valid time, first quartile": float(low),
        "valid time, third quartile": float(high),
        "error of one step": float(np.sqrt(np.square(errors[0]).mean())),
        **distances(alone, series.test),
    }
    return xr.Dataset(
        {
            "valid": ("start", valid, {"units": series.unit}),
            "errors": (("step", "start"), errors.astype(np.float32)),
            "predicted": (("step", "variable"), _as_float32(predicted[:, 0])),
            "alone": (("moment", "variable"), _as_float32(alone[:, 0])),
        },
        {"variable": list(series.names)},
        attrs=numbers,
    )


def _as_float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def exponent(config: Config, series: Series, forecaster: Forecaster) -> dict[str, Any]:
    """The largest Lyapunov exponent of the network that runs by itself, for each unit of time."""
    each = largest_exponents(forecaster, series, config.forecasts)
    found: dict[str, Any] = {
        "largest Lyapunov exponent": float(each.mean()),
        "its standard error": float(each.std(ddof=1) / len(each) ** 0.5),
    }
    return found | ({"as published": series.exponent} if series.exponent else {})


def coverage(config: Config, series: Series, forecaster: Forecaster) -> dict[str, Any]:
    """Share of what follows that lies within the band of an ensemble, at some leads."""
    chosen, observed = config.forecasts, series.test
    starts = starts_of(observed, chosen.starts, chosen.before, chosen.ahead)
    before = observed[np.arange(-chosen.before, 0)[:, None] + starts]
    low, high = ensemble(forecaster, series.validation, chosen.before).band(
        before, chosen.ahead, members=chosen.ensemble, level=BAND, seed=config.seed
    )
    truth = following(observed, starts, chosen.ahead)
    inside = ((low <= truth) & (truth <= high)).mean(axis=(1, 2))
    steps = {lead: round(lead * series.lyapunov_steps) for lead in LEADS}
    return {
        f"share within the band after {lead:g} {series.unit}": float(inside[step - 1])
        for lead, step in steps.items()
        if 1 <= step <= chosen.ahead
    }
