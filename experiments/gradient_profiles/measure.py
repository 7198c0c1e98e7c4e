"""Measures the profiles of all cells and the effect of the forget bias, as one data set."""

from collections.abc import Callable
from functools import partial

import numpy as np
import xarray as xr

from experiments.gradient_profiles.config import Config
from experiments.gradient_profiles.forgetting import measure_forgetting
from experiments.gradient_profiles.growth import growth_per_step
from experiments.gradient_profiles.profiles import measure_cell
from experiments.gradient_profiles.schema import PARTS
from rnnlab.gradients import theory
from rnnlab.run import results
from rnnlab.run.workdir import Workdir


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """Measures what is not there yet, cell by cell."""
    jobs: dict[str, Callable[[], xr.Dataset]] = {
        f"cell-{name}": partial(measure_cell, config, name) for name in config.cells
    } | {
        f"forget-{name}": partial(measure_forgetting, config, name) for name in config.forget_cells
    }
    return results.measured(workdir, "gradient_profiles", jobs, partial(combine, config))


def combine(config: Config, partial_results: dict[str, xr.Dataset]) -> xr.Dataset:
    """One labelled data set of both measurements, with the theory beside them."""
    data = xr.Dataset(
        {
            "log10_norm": (
                ("cell", "part", "seed", "steps_before_loss"),
                np.stack([partial_results[f"cell-{name}"].log10_norm for name in config.cells]),
                {"long_name": "log10 ‖∂L/∂s_t‖, mean over the batch", "units": "decades"},
            )
        },
        coords={
            "cell": list(config.cells),
            "part": list(PARTS),
            "seed": np.arange(config.seeds),
            "steps_before_loss": np.arange(config.length + 1),
        },
        attrs={"title": "Gradient of the loss with respect to the state, backwards in time"},
    )
    data["growth"] = (
        ("cell", "part", "seed"),
        growth_per_step(data.log10_norm.to_numpy()),
        {"long_name": "slope of log10_norm, far from the loss", "units": "decades per step"},
    )
    if config.forget_cells:
        return _with_forgetting(config, data, partial_results)
    return data


def _with_forgetting(
    config: Config, data: xr.Dataset, partial_results: dict[str, xr.Dataset]
) -> xr.Dataset:
    """The data set with the second measurement added."""
    growth = [partial_results[f"forget-{name}"].forget_growth for name in config.forget_cells]
    data = data.assign_coords(
        forget_cell=list(config.forget_cells),
        forget_radius=list(config.forget_radii),
        forget_bias=list(config.forget_biases),
    )
    data["forget_growth"] = (
        ("forget_cell", "forget_radius", "forget_bias", "seed"),
        np.stack(growth),
        {"long_name": "growth of ‖∂L/∂c_t‖ per step back", "units": "decades per step"},
    )
    data["forget_theory"] = (
        "forget_bias",
        theory.forget_time_constant(config.forget_biases),
        {"long_name": "−1 / ln σ(forget bias)", "units": "steps"},
    )
    return data
