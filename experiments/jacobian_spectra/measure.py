"""Measures all cases and widths of `jacobian_spectra`, as one data set with the theory."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import xarray as xr

from experiments.jacobian_spectra.config import Config
from experiments.jacobian_spectra.schema import KINDS, ORTHOGONAL, POWER, PRODUCT
from experiments.jacobian_spectra.spectra import measure_cell, measure_linear
from rnnlab.gradients import theory
from rnnlab.run import results
from rnnlab.run.workdir import Workdir

#: Dimensions, values and attributes of a variable.
Variable = tuple[tuple[str, ...] | str, np.ndarray, dict[str, str]]

DECADES = {"units": "decades"}


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """Measures what is not there yet, case by case."""
    jobs: dict[str, Callable[[], xr.Dataset]] = {
        "orthogonal": partial(measure_linear, config, ORTHOGONAL, config.hidden)
    }
    for width in sorted({config.hidden, *config.widths}):
        jobs[f"product-{width}"] = partial(measure_linear, config, PRODUCT, width)
        jobs[f"power-{width}"] = partial(measure_linear, config, POWER, width)
    jobs |= {f"cell-{name}": partial(measure_cell, config, name) for name in config.cells}
    return results.measured(workdir, "jacobian_spectra", jobs, partial(combine, config))


def combine(config: Config, partial_results: dict[str, xr.Dataset]) -> xr.Dataset:
    """One labelled data set: the histograms' values, and the widths' distance from theory."""
    cases = {
        ORTHOGONAL: partial_results["orthogonal"],
        PRODUCT: partial_results[f"product-{config.hidden}"],
        POWER: partial_results[f"power-{config.hidden}"],
        **{name: partial_results[f"cell-{name}"] for name in config.cells},
    }
    size = max(case.sizes["index"] for case in cases.values())
    sigma = [case.log10_sigma.pad(index=(0, size - case.sizes["index"])) for case in cases.values()]
    return xr.Dataset(
        {
            "log10_sigma": (
                ("case", "seed", "length", "index"),
                np.stack(sigma),
                {"long_name": "log10 of the singular values of ∂s_T/∂s_0, descending"} | DECADES,
            ),
            **_compared_with_theory(config, partial_results),
        },
        coords={
            "case": list(cases),
            "kind": list(KINDS),
            "width": list(config.widths),
            "seed": np.arange(config.seeds),
            "length": ("length", list(config.lengths), {"long_name": "T", "units": "steps"}),
        },
        attrs={"title": "Singular values of products of Jacobians"},
    )


def _compared_with_theory(
    config: Config, partial_results: dict[str, xr.Dataset]
) -> dict[str, Variable]:
    """Distance from the Fuss-Catalan law and largest singular value, for each kind and width."""
    linear = [
        [partial_results[f"{kind}-{width}"].log10_sigma for width in config.widths]
        for kind in ("product", "power")
    ]
    shape = (len(KINDS), len(config.widths), len(config.lengths))
    distance, largest = np.empty(shape), np.empty((*shape, config.seeds))
    for place in np.ndindex(shape):
        values = linear[place[0]][place[1]].isel(length=place[2])
        distance[place] = theory.fuss_catalan_distance(
            values.to_numpy(), config.lengths[place[2]], config.gain
        )
        largest[place] = values.isel(index=0)
    edge = 0.5 * np.log10(theory.fuss_catalan_edge(config.lengths))
    return {
        "distance": (
            ("kind", "width", "length"),
            distance,
            {"long_name": "largest difference of the distribution functions of log10 σ"},
        ),
        "log10_sigma_max": (
            ("kind", "width", "length", "seed"),
            largest,
            {"long_name": "log10 of the largest singular value"} | DECADES,
        ),
        "log10_edge": (
            "length",
            edge + np.asarray(config.lengths) * math.log10(config.gain),
            {"long_name": "upper edge of the Fuss-Catalan law"} | DECADES,
        ),
    }
