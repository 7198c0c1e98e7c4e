"""Tables of `lyapunov`."""

import math
from typing import Any

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
            spectrum = data.spectrum.sel(cell=cell, spectrum_gain=gain).dropna("index")
            first = spectrum.isel(index=0)
            error = standard_error(first, "spectrum_seed")
            rows.append(
                {
                    "cell": cell,
                    "gain": float(gain),
                    "largest": plus_minus_text(float(first.mean()), float(error)),
                    "median": float(spectrum.median()),
                    "smallest": float(spectrum.isel(index=-1).mean()),
                    "positive": float((spectrum > 0).sum("index").mean()),
                    "directions": spectrum.sizes["index"],
                }
            )
    return rows
