"""Tables of `gradient_profiles`."""

from typing import Any

import numpy as np
import xarray as xr

from experiments.gradient_profiles.growth import half_life, time_constant


def growth_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each cell: quartiles of the growth of the joint gradient, and its half-life."""
    rows = []
    for name in data.cell.to_numpy():
        low, median, high = np.quantile(data.growth.sel(cell=name, part="joint"), [0.25, 0.5, 0.75])
        end = data.log10_norm.sel(cell=name, part="joint").isel(steps_before_loss=-1)
        lost = bool(np.isnan(end).any())
        rows.append(
            {
                "cell": name,
                "lower quartile": f"{low:+z.4f}",
                "median": f"{median:+z.4f}",
                "upper quartile": f"{high:+z.4f}",
                "half-life (steps)": "overflowed" if lost else half_life(median),
                "log10 ‖∂L/∂s_0‖": f"{float(np.median(end)):+z.1f}",
            }
        )
    return rows


def forgetting_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each radius and bias: the theory, and the median time constant of each cell."""
    tau = time_constant(data.forget_growth.median("seed").to_numpy())
    rows = []
    for i, radius in enumerate(data.forget_radius.to_numpy()):
        for j, bias in enumerate(data.forget_bias.to_numpy()):
            row: dict[str, Any] = {"radius": float(radius), "forget bias": float(bias)}
            row["−1/ln σ(b)"] = float(data.forget_theory[j])
            for k, name in enumerate(data.forget_cell.to_numpy()):
                row[name] = float(tau[k, i, j]) if np.isfinite(tau[k, i, j]) else "grows"
            rows.append(row)
    return rows
