"""What is right in `precision`, how far each way is from it, and up to which length."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import xarray as xr

from rnnlab.gradients.theory import log10_singular_values_orthogonal

WAYS = ("float32 naive", "float64 naive", "float32 log-domain", "float64 log-domain")
#: The network whose gradient is known exactly.
CONTROL = "linear orthogonal"


class Grid(Protocol):
    """Networks, radii and lengths that were measured, and from which error on a value is wrong."""

    @property
    def networks(self) -> tuple[str, ...]: ...

    @property
    def radii(self) -> tuple[float, ...]: ...

    @property
    def lengths(self) -> tuple[int, ...]: ...

    @property
    def tolerance(self) -> float: ...


def reference(data: xr.Dataset) -> xr.DataArray:
    """What is right, `[network, radius, seed, length]`: theory where exact, else float64."""
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


def table_of_lengths(config: Grid, data: xr.Dataset) -> list[dict[str, Any]]:
    """For each network and radius: up to which length each method is right in every seed."""
    longest = right_up_to(errors(data), config.tolerance).min("seed")
    right = reference(data).isel(length=-1).median("seed")
    return [
        {
            "network": network,
            "ρ": radius,
            f"log10 ‖∂L/∂s_0‖ at T={config.lengths[-1]}": right.sel(here).item(),
            **{way: int(longest.sel(here).sel(way=way)) for way in WAYS},
        }
        for network in config.networks
        for radius in config.radii
        for here in [{"network": network, "radius": radius}]
    ]


def table_of_failures(config: Grid, data: xr.Dataset) -> list[dict[str, Any]]:
    """For each network and method: how many values are right, and how the others are wrong."""
    rows = []
    for network in config.networks:
        for way in WAYS:
            value = data.log10_norm.sel(network=network, way=way).values
            error = errors(data).sel(network=network, way=way).values
            finite = np.isfinite(value)
            rows.append(
                {
                    "network": network,
                    "way": way,
                    "values": value.size,
                    "right": int(np.sum(error <= config.tolerance)),
                    "0": int(np.sum(np.isneginf(value))),
                    "inf or nan": int(np.sum(np.isnan(value) | np.isposinf(value))),
                    "finite and wrong": int(np.sum(finite & (error > config.tolerance))),
                    "largest finite error": float(error[finite].max(initial=0)),
                }
            )
    return rows
