"""Tables of `precision`."""

from typing import Any

import numpy as np
import xarray as xr

from experiments.precision.accuracy import errors, reference, right_up_to
from experiments.precision.config import Config
from experiments.precision.schema import ROUNDINGS, WAYS


def table_of_lengths(config: Config, data: xr.Dataset) -> list[dict[str, Any]]:
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


def table_of_failures(config: Config, data: xr.Dataset) -> list[dict[str, Any]]:
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


def table_of_chaos(data: xr.Dataset) -> list[dict[str, Any]]:
    """Quantiles over seeds at the longest chaotic length, and the distance from float64."""
    last = data.chaos_log10_norm.isel(chaos_length=-1)
    distance = abs(last - last.sel(rounding="float64"))
    return [
        {
            "computed in": rounding,
            **{
                f"{percent} %": last.sel(rounding=rounding).quantile(percent / 100).item()
                for percent in (10, 25, 50, 75, 90)
            },
            "median distance of a seed": distance.sel(rounding=rounding).median().item(),
        }
        for rounding in ROUNDINGS
    ]
