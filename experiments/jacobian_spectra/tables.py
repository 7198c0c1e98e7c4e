"""Tables of `jacobian_spectra`."""

from typing import Any

import numpy as np
import xarray as xr


def case_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each case and T: quantiles of the pooled log10 σ."""
    rows = []
    for case in data.case.to_numpy():
        for length in data.length.to_numpy():
            values = data.log10_sigma.sel(case=case, length=length).to_numpy()
            values = values[~np.isnan(values)]
            if not values.size:  # all networks have overflowed
                continue
            low, median, high = np.quantile(values, [0.05, 0.5, 0.95], method="nearest")
            rows.append(
                {
                    "case": case,
                    "T": int(length),
                    "5 %": float(low),
                    "median": float(median),
                    "95 %": float(high),
                    "largest": float(values.max()),
                    "exact zeros": int(np.isneginf(values).sum()),
                }
            )
    return rows


def validity_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each kind, width and T: how far from Fuss-Catalan."""
    return [
        {
            "kind": kind,
            "N": int(width),
            "T": int(length),
            "distance": float(data.distance.sel(kind=kind, width=width, length=length)),
            "median log10 σ_max": float(
                data.log10_sigma_max.sel(kind=kind, width=width, length=length).median()
            ),
            "edge": float(data.log10_edge.sel(length=length)),
        }
        for kind in data.kind.to_numpy()
        for width in data.width.to_numpy()
        for length in data.length.to_numpy()
    ]
