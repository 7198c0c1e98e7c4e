"""Measures both parts of `lyapunov` into one data set, with the theory beside them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from experiments.lyapunov.config import Config
from experiments.lyapunov.exponents import measure_spectrum, measure_width, records_of
from rnnlab.gradients import theory
from rnnlab.run import results
from rnnlab.run.workdir import Workdir


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """Measures what is not there yet, width by width and cell by cell."""
    jobs: dict[str, Callable[[], xr.Dataset]] = {
        f"width-{width}": partial(measure_width, config, width) for width in config.widths
    } | {
        f"spectrum-{cell}": partial(measure_spectrum, config, cell)
        for cell in config.spectrum_cells
    }
    return results.measured(workdir, "lyapunov", jobs, partial(combine, config))


def combine(config: Config, partial_results: dict[str, xr.Dataset]) -> xr.Dataset:
    """One labelled data set of everything, with the theory beside what it predicts."""
    widths = [partial_results[f"width-{width}"] for width in config.widths]
    data = _stack(widths, "width", config.widths).assign_coords(
        input_std=list(config.input_stds), gain=list(config.gains), seed=np.arange(config.seeds)
    )
    grid = np.meshgrid(config.gains, config.input_stds)
    data["mean_field"] = ("input_std", "gain"), theory.mean_field_exponent(*grid)
    data["critical_gain"] = "input_std", theory.critical_gain(config.input_stds)
    meanings = {
        "exponent": ("largest Lyapunov exponent of the tanh network", "nats per step"),
        "log_radius": ("ln ρ of the recurrent matrix at gain 1", "nats"),
        "mean_field": ("largest exponent, mean field at infinite width", "nats per step"),
        "critical_gain": ("gain at which the mean-field exponent is zero", "1"),
    }
    if config.spectrum_cells:
        spectra = [partial_results[f"spectrum-{cell}"] for cell in config.spectrum_cells]
        data = data.merge(_stack(spectra, "cell", config.spectrum_cells)).assign_coords(
            spectrum_gain=list(config.spectrum_gains),
            step=list(records_of(config.spectrum_steps, config.discard)),
        )
        data["directions"] = "cell", [each.sizes["index"] for each in spectra]
        meanings["directions"] = ("units of the joint state, as many as exponents", "1")
        meanings["spectrum"] = ("all exponents of the joint state, descending", "nats per step")
        meanings["running"] = ("largest exponent over steps discard..step", "nats per step")
    for name, (meaning, units) in meanings.items():
        data[name].attrs = {"long_name": meaning, "units": units}
    data.attrs = {"title": "Lyapunov exponents of random recurrent networks"}
    return data


def _stack(parts: list[xr.Dataset], axis: str, labels: tuple[Any, ...]) -> xr.Dataset:
    """Parts along a new axis; the shorter ones are filled with NaN."""
    size = max(part.sizes.get("index", 0) for part in parts)
    padded = [
        part.pad(index=(0, size - part.sizes["index"])) if "index" in part.sizes else part
        for part in parts
    ]
    stacked = xr.concat(padded, dim=axis, coords="minimal", compat="override", join="exact")
    return stacked.assign_coords({axis: list(labels)}).drop_attrs()
