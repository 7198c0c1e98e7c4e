"""What forecasts without training by gradients, each chosen on the validation split."""

from __future__ import annotations

import jax
import numpy as np

from experiments.forecasting.config import Config
from rnnlab.training.fitted_forecasters import Reservoir, autoregression, persistence
from rnnlab.training.forecast_judging import judge
from rnnlab.training.forecasting import Forecaster
from rnnlab.training.series import Series

#: Penalties of the linear autoregression that are tried.
RIDGES = (1e-10, 1e-8, 1e-6, 1e-4)


def drawn_reservoir(config: Config, trial: int) -> Reservoir:
    """Settings of an echo-state network, drawn at random over the usual ranges."""
    draws = np.random.default_rng([config.seed, trial])
    return Reservoir(
        hidden=config.baselines.units,
        radius=float(draws.uniform(0.2, 1.2)),
        scale=float(np.exp(draws.uniform(np.log(0.05), np.log(1.0)))),
        leak=float(draws.uniform(0.3, 1.0)),
        ridge=float(10 ** draws.uniform(-10, -4)),
    )


def best_reservoir(config: Config, series: Series) -> tuple[Reservoir, Forecaster]:
    """The echo-state network whose forecasts are valid longest on the validation split."""
    tried = []
    for trial in range(config.baselines.trials):
        reservoir = drawn_reservoir(config, trial)
        key = jax.random.fold_in(jax.random.key(config.seed), trial)
        warmup = config.forecasts.before
        forecaster = reservoir.forecaster(series.train, warmup=warmup, key=key)
        score = judge(forecaster, series.validation, 1.0, config.forecasts).valid.mean()
        tried.append((score, -trial, reservoir, forecaster))
    return max(tried, key=lambda one: one[:2])[2:]


def best_autoregression(config: Config, series: Series) -> Forecaster:
    """The linear autoregression with the best of `RIDGES`."""
    tried = []
    for place, ridge in enumerate(RIDGES):
        forecaster = autoregression(
            series.train,
            lags=config.baselines.lags,
            ridge=ridge,
            warmup=config.forecasts.before,
        )
        score = judge(forecaster, series.validation, 1.0, config.forecasts).valid.mean()
        tried.append((score, -place, forecaster))
    return max(tried, key=lambda one: one[:2])[2]


def baselines(config: Config, series: Series) -> tuple[dict[str, Forecaster], Reservoir]:
    """What the network is compared with, by name, and the settings of the echo-state network."""
    reservoir, echo = best_reservoir(config, series)
    return {
        "echo-state network": echo,
        "linear autoregression": best_autoregression(config, series),
        "persistence": persistence(series.train.shape[1]),
    }, reservoir
