"""Tables of `lyapunov`."""

import math
from typing import Any

import numpy as np
import xarray as xr

from rnnlab.statistics import plus_minus_text


def standard_error(samples: xr.DataArray, axis: str) -> xr.DataArray:
    """Standard error of the mean over the networks."""
    return samples.std(axis, ddof=1) / math.sqrt(samples.sizes[axis])


def exponent_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each input and gain: theory, and mean ± standard error for each width."""
    mean, error = data.exponent.mean("seed"), standard_error(data.exponent, "seed")
    return [
        {"input std": float(std), "gain": float(gain)}
        | {"mean field": f"{float(data.mean_field.loc[std, gain]):+z.4f}"}
        | {f"N={int(width)}": _plus_minus(mean, error, width, std, gain) for width in data.width}
        for std in data.input_std
        for gain in data.gain
    ]


def _plus_minus(mean: xr.DataArray, error: xr.DataArray, width: Any, std: Any, gain: Any) -> str:
    point = {"width": width, "input_std": std, "gain": gain}
    return plus_minus_text(float(mean.sel(point)), float(error.sel(point)))


def spectrum_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each cell and gain: median and ends of the spectrum, and how much is positive."""
    rows = []
    for cell in data.cell.to_numpy():
        for gain in data.spectrum_gain.to_numpy():
            spectrum = spectrum_of(data, cell, gain)
            rows.append(
                {
                    "cell": cell,
                    "gain": float(gain),
                    "largest": _mean_text(spectrum[:, 0]),
                    "median": _middle(spectrum),
                    "smallest": _middle(spectrum[:, -1]),
                    "positive": float((spectrum > 0).sum(axis=1).mean()),
                    "lost": float(np.isneginf(spectrum).sum(axis=1).mean()),
                    "directions": spectrum.shape[1],
                    "overflowed": int(np.isnan(spectrum).any(axis=1).sum()),
                }
            )
    return rows


def spectrum_of(data: xr.Dataset, cell: str, gain: float) -> np.ndarray:
    """Exponents `[seed, index]` of a cell: -inf for a lost direction, NaN after an overflow."""
    here = data.sel(cell=cell, spectrum_gain=gain)
    values = here.spectrum.transpose("spectrum_seed", "index").to_numpy()
    return values[:, : int(here.directions)]


def _mean_text(samples: np.ndarray) -> str:
    """Mean ± standard error over the networks that have not overflowed; -inf if one is lost."""
    known = samples[~np.isnan(samples)]
    if not known.size:
        return "-"
    if np.isneginf(known).any():
        return "-inf" if np.isneginf(known).all() else f"-inf … {known.max():+.4f}"
    error = known.std(ddof=1) / math.sqrt(known.size) if known.size > 1 else math.nan
    return plus_minus_text(float(known.mean()), float(error))


def _middle(samples: np.ndarray) -> float | None:
    """Median of those that have not overflowed; None if all have."""
    known = samples[~np.isnan(samples)]
    # Nothing can be interpolated between two of -inf.
    method = "linear" if np.isfinite(known).all() else "nearest"
    return float(np.quantile(known, 0.5, method=method)) if known.size else None
