"""The right values, how far each way is from them, and up to which length it is right."""

import numpy as np
import xarray as xr

from experiments.precision.schema import CONTROL, WAYS
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
