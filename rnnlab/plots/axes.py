"""Ticks, their numbers, and legends."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from numpy.typing import ArrayLike


def ticks_at(axis: Axis, values: ArrayLike) -> None:
    """Ticks at positions that were measured, as far as their numbers have room, and at no others.

    Args:
        axis: `ax.xaxis` or `ax.yaxis`, linear or logarithmic.
        values: the positions, increasing.
    """
    values = np.asarray(values, np.float64)
    place = np.log(values) if axis.get_scale() == "log" else values
    shown = [0]
    for index in range(1, len(values)):
        if place[index] - place[shown[-1]] >= (place[-1] - place[0]) / 9:
            shown.append(index)
    axis.set_ticks(values[shown], labels=[in_full(value) for value in values[shown]])
    axis.set_ticks([], minor=True)


def in_full(value: float, position: int | None = None) -> str:
    """A tick's or a contour's number in full, with a minus sign and not a hyphen."""
    return f"{value:g}".replace("-", "−")


def shades(count: int) -> list[tuple[float, ...]]:
    """Colours from dark to light, for lines that have an order."""
    return [tuple(color) for color in colormaps["viridis"](np.linspace(0, 0.9, count))]


def legend_below(figure: Figure, ax: Axes, columns: int = 6) -> None:
    """The legend of all axes below them, with the entries of one of them."""
    handles, labels = ax.get_legend_handles_labels()
    ncols = even_columns(len(labels), columns)
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols)


def even_columns(entries: int, most: int) -> int:
    """Columns of a legend whose rows are about as long as each other."""
    rows = -(-max(entries, 1) // max(most, 1))
    return -(-max(entries, 1) // rows)
