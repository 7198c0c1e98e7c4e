"""Confusion matrices of classifiers as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.arrays import Int


def plot_confusions(counts: Mapping[str, Int[np.ndarray, "K K"]], names: Sequence[str]) -> Figure:
    """The confusion matrices side by side, with their numbers and the shares of each row.

    Args:
        counts: by title, how many of each class, by rows, were taken for each class, by columns.
        names: of the classes.
    """
    figure, axes = plots.subplots(1, len(counts), width=4.2 * len(counts), height=4)
    for ax, (title, table) in zip(axes[0], counts.items(), strict=True):
        shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(table):
            dark = "w" if shares[row, column] > 0.6 else "k"
            label = f"{shares[row, column]:.1%}\n{count}"
            ax.text(column, row, label, ha="center", va="center", fontsize=7, color=dark)
        places = range(len(names))
        ax.set(xlabel="taken for", ylabel="class", title=title)
        turned: Any = {"rotation": 25, "ha": "right"} if len(names) > 3 else {}
        ax.set_xticks(places, names, **turned)
        ax.set_yticks(places, names)
    return figure
