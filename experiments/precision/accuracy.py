"""The right values, how far each way is from them, and up to which length it is right."""

from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from experiments.precision.schema import CONTROL, ROUNDINGS, WAYS
from rnnlab.gradients.theory import log10_singular_values_orthogonal


def reference(data: xr.Dataset) -> xr.DataArray:
    """The right values `[network, radius, seed, length]`: theory where exact, else float64."""
    theory = xr.DataArray(
        log10_singular_values_orthogonal(data.radius.values[:, None], data.length.values),
        dims=("radius", "length"),
    )
    best = data.log10_norm.sel(way=WAYS[-1], drop=True)
    return best.where(data.network != CONTROL, theory)


def errors(data: xr.Dataset) -> xr.DataArray:
    """Absolute error in decades, like `log10_norm`; inf where 0, inf or nan was returned."""
    error = abs(data.log10_norm - reference(data))
    return error.where(np.isfinite(data.log10_norm), np.inf)


def right_up_to(error: xr.DataArray, tolerance: float) -> xr.DataArray:
    """The longest length before the first with an error above the tolerance; 0 if there is none."""
    right = (error <= tolerance).cumprod("length").astype(bool)
    return error.length.where(right, 0).max("length")


def shifts(data: xr.Dataset) -> dict[str, float]:
    """Whether a rounding shifts the distribution over seeds, at the longest chaotic length.

    Wilcoxon's signed-rank test of the differences from float64, network by network, against a
    median of zero; 1 where no value differs.

    Returns:
        p by rounding, float64 itself left out.
    """
    last = data.chaos_log10_norm.isel(chaos_length=-1)
    found = {}
    for rounding in ROUNDINGS:
        if rounding != "float64":
            difference = (last.sel(rounding=rounding) - last.sel(rounding="float64")).to_numpy()
            difference = difference[difference != 0]
            test: Any = stats.wilcoxon(difference) if difference.size else None
            found[rounding] = 1.0 if test is None else float(test.pvalue)
    return found
