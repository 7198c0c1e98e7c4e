"""Trains every network at every interval of forcing, and judges it.

The result has the dimensions `GRID`; its variables are those of `Trial.measure`.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from experiments.forcing.config import GRID, STATE, Config
from rnnlab.arrays import Float, Params
from rnnlab.combinators import Autonomous, Feedback
from rnnlab.run.workdir import METRICS, Workdir
from rnnlab.training import log, populations
from rnnlab.training.forecast_judging import distances, judge, largest_exponents, long_run
from rnnlab.training.forecasting import Forecaster, forecast_learner
from rnnlab.training.loop import Outcome, train
from rnnlab.training.series import Series


def measure(config: Config, workdir: Workdir, series: Series) -> xr.Dataset:
    """The result: one training for each network and interval, all seeds at once."""
    values = (config.population.networks, config.intervals)

    def one(network: str, every: int) -> xr.Dataset:
        return Trial(config, series, network, every).measure(workdir)

    return populations.measured(workdir, dict(zip(GRID, values, strict=True)), one)


class Trial:
    """All seeds of one network, which is shown one observation in some steps.

    Args:
        config: of the experiment.
        series: what it learns.
        network: its name.
        every: the steps.
    """

    def __init__(self, config: Config, series: Series, network: str, every: int):
        self._config, self._series = config, series
        self._name = populations.name_of(network, every)
        inside = config.population.cell(network, config.training.length)
        make = Autonomous if config.replaced == STATE else Feedback
        self._cell = make(inside, series.train.shape[1])
        self._learner = forecast_learner(
            self._cell,
            series.train,
            config.training.windows(every),
            batch=config.training.batch,
            optimiser=config.training.make(),
            clip=config.training.clip(),
            strategy=config.population.strategy,
        )

    def measure(self, workdir: Workdir) -> xr.Dataset:
        """Trains, and judges every seed on the test split."""
        outcome = self._train(workdir)
        seeds = range(self._config.population.seeds)
        judged = [self._judge(populations.member(outcome.state.params, seed)) for seed in seeds]
        diverged = np.where(outcome.diverged > 0, outcome.diverged, np.nan)
        data = xr.concat(judged, dim="seed").assign_coords(seed=[*seeds])
        data["log10_gradient"] = ("seed", self._gradients(workdir))
        return data.assign(diverged_at=("seed", diverged))

    def _train(self, workdir: Workdir) -> Outcome:
        training, seeds = self._config.training, self._config.population.seeds
        steps = training.batch * training.length * seeds
        return train(
            workdir,
            self._learner,
            training.plan(units_per_update=steps),
            populations.keys(seeds),
            name=self._name,
        )

    def _judge(self, params: Params) -> xr.Dataset:
        """One seed: valid times of all starts, the exponent, distances, the error of one step."""
        forecaster, series, settings = (
            Forecaster(self._cell, params),
            self._series,
            self._config.forecasts,
        )
        _, errors, valid = judge(forecaster, series.test, series.lyapunov_steps, settings)
        apart = distances(long_run(forecaster, series.test, settings), series.test)
        return xr.Dataset(
            {
                "valid": ("start", valid, {"units": "Lyapunov times"}),
                "exponent": ((), largest_exponents(forecaster, series, settings).mean()),
                "histograms": ((), apart["distance of histograms"]),
                "spectra": ((), apart["distance of spectra"]),
                "one_step": ((), np.sqrt(np.square(errors[0]).mean())),
            }
        )

    def _gradients(self, workdir: Workdir) -> Float[np.ndarray, "S"]:
        """log10 of the largest mean gradient norm of a dispatch, before clipping, of each seed."""
        text = workdir.within(self._name).path(METRICS).read_text(encoding="utf-8")
        rows = [populations.numbers(row["gradient_norm"]) for row in log.read(text, "train")]
        norms = np.array(rows, float)
        finite = np.where(np.isfinite(norms), norms, 0)
        return np.log10(np.maximum(finite.max(axis=0), 1e-30))
