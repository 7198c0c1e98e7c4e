"""Tables of `gradient_norms`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.gradient_norms.comparison import (
    BOUND,
    FLOAT32_FLOOR,
    FLOAT32_TOP,
    MEAN_FIELD,
    RATES,
    Measured,
)


def table_of_radii(one: Measured, most: int | None = None) -> list[dict[str, Any]]:
    """Rows for the radii of a cell, or for `most` of them, at the longest length."""
    count = len(one.radius)
    indices = np.linspace(0, count - 1, min(most or count, count)).round().astype(int)
    theories = one.theories(one.radius)
    rows = []
    for index in indices:
        low, middle, high = _quartiles(one.state[:, index, -1])
        row = {
            "cell": one.cell,
            "ρ": round(float(one.radius[index]), 3),
            "σ_max": round(float(one.sigma_max[index]), 3),
            "log10 ‖∂L/∂s_0‖": f"{middle:z.2f} ({low:z.2f} … {high:z.2f})",
            "per step": f"{middle / one.lengths[-1]:z.4f}",
        }
        for name, heading in RATES.items():
            if name != BOUND:
                row[heading] = f"{theories[name][index]:z.4f}" if name in theories else "-"
        rows.append(row)
    return rows


def table_of_cells(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """For each cell where growth is zero, and how many gradients float32 could not hold.

    A point is a radius, a seed and a length. The root of a sum of squares, written naively, is 0
    or inf as soon as the squares are out of range, the gradient itself later.
    """
    floor, top = FLOAT32_FLOOR, FLOAT32_TOP
    rows = []
    for one in measured:
        fine = np.linspace(one.radius[0], one.radius[-1], 1000)
        mean_field = one.theories(fine).get(MEAN_FIELD)
        zero = _first_zero(one.radius, np.median(one.growth[:, :, -1], axis=0))
        rows.append(
            {
                "cell": one.cell,
                "growth 0 at ρ": zero,
                "mean field": "-" if mean_field is None else _first_zero(fine, mean_field),
                "points": one.state.size,
                "gradient 0": int(np.sum(one.state < floor)),
                "norm 0": int(np.sum(one.state < floor / 2)),
                "norm inf": int(np.sum(one.state > top / 2)),
                "gradient inf": int(np.sum(one.state > top)),
            }
        )
    return rows


def _first_zero(radius: np.ndarray, growth: np.ndarray) -> str:
    """The radius at which growth first turns positive, by linear interpolation."""
    rising = np.flatnonzero((growth[:-1] <= 0) & (growth[1:] > 0))
    if not len(rising):
        return "not in range"
    i = rising[0]
    share = growth[i] / (growth[i] - growth[i + 1])
    return f"{radius[i] + share * (radius[i + 1] - radius[i]):.3f}"


def _quartiles(samples: np.ndarray) -> tuple[float, ...]:
    """Lower quartile, median, upper quartile; -inf where gradients are exactly zero."""
    # Nothing can be interpolated between two of -inf.
    method = "linear" if np.isfinite(samples).all() else "nearest"
    return tuple(map(float, np.quantile(samples, [0.25, 0.5, 0.75], method=method)))
