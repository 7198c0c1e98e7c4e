"""Tables of `cliff`: what the descents met and where they ended, rule by rule."""

from typing import Any

import numpy as np
import xarray as xr

from experiments.cliff.schema import RULES


def table_of_paths(data: xr.Dataset) -> list[dict[str, Any]]:
    """What each rule met on its way from `start`."""
    rows = []
    for rule in RULES:
        path = data.sel(rule=rule, start=0)
        rows.append(
            {
                "clipping": rule,
                "end w": path.path_w[-1].item(),
                "end b": path.path_b[-1].item(),
                "final loss": path.path_loss[-1].item(),
                "lowest loss": path.path_loss.min().item(),
                "largest ‖∇E‖": path.path_grad_norm.max().item(),
                "largest update": update_lengths(path).max().item(),
            }
        )
    return rows


def table_of_neighbours(data: xr.Dataset) -> list[dict[str, Any]]:
    """How the descents from the starts around `start` end with each rule."""
    rows = []
    for rule in RULES:
        paths = data.sel(rule=rule).isel(start=slice(1, None))
        longest = update_lengths(paths).max("update").values
        final = paths.path_loss.isel(update=-1).values
        rows.append(
            {
                "clipping": rule,
                "largest update": _spread(longest),
                "update above 1, %": 100 * float(np.mean(longest > 1)),
                "final loss": _spread(final),
                "final loss below 0.01, %": 100 * float(np.mean(final < 0.01)),
            }
        )
    return rows


def update_lengths(paths: xr.Dataset) -> xr.DataArray:
    """Length of each update in the (w, b) plane."""
    return np.hypot(paths.path_w.diff("update"), paths.path_b.diff("update"))


def _spread(samples: np.ndarray) -> str:
    low, middle, high = np.quantile(samples, [0.1, 0.5, 0.9])
    return f"{middle:.2g} ({low:.2g} to {high:.2g})"
