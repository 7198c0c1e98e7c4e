"""Pictures of `lstm_odyssey`: rankings, losses by learning rate, and what moves a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.lstm_odyssey import analysis
from experiments.lstm_odyssey.analysis import HYPERPARAMETERS, Compared
from experiments.lstm_odyssey.config import Config
from rnnlab import plots
from rnnlab.training.importance import Importance

#: Colours of verdicts.
VERDICTS = {
    "reference": "#000000",
    "worse": plots.COLORS[1],
    "better": plots.COLORS[2],
    "no difference found": plots.COLORS[0],
}
#: Bins of the learning rate.
BINS = 6


def ranking(rankings: Mapping[str, Sequence[Compared]], units: Mapping[str, str]) -> Figure:
    """A panel for each task: by how much cells differ from the reference, the best above."""
    rows = max(map(len, rankings.values()))
    figure, axes = plots.subplots(
        1, len(rankings), width=1.5 + 3.4 * len(rankings), height=0.3 * rows + 1.7
    )
    for ax, (task, cells) in zip(axes[0], rankings.items(), strict=True):
        (reference,) = (one for one in cells if one.p is None)
        ax.axvline(0, color="#999999", linestyle="--", linewidth=1, zorder=0)
        for place, one in enumerate(cells):
            _plot_cell(ax, place, one, reference)
        ax.set_yticks(range(len(cells)), [one.cell for one in cells])
        ax.set(
            title=f"{task}: {reference.cell} has {reference.mean:.3g}",
            xlabel=f"{units[task]} more, on test",
            ylim=(len(cells) - 0.5, -0.5),
        )
    for verdict, color in VERDICTS.items():
        axes[0, 0].plot([], [], "o", color=color, label=verdict)
    plots.legend_below(figure, axes[0, 0])
    return figure


def _plot_cell(ax: Axes, place: int, one: Compared, reference: Compared) -> None:
    """The differences of a cell's searches as circles, their mean and its interval."""
    color, differences = VERDICTS[one.verdict], one.losses - reference.losses
    ax.plot(one.difference.mean, place, "|", color=color, ms=11, mew=2.2)
    if one is not reference:
        look = {"ms": 3, "mfc": "none", "color": color, "alpha": 0.5}
        ax.plot(differences, np.full(len(differences), place), "o", **look)
        ax.plot([one.difference.low, one.difference.high], [place, place], "-", color=color, lw=2.2)


def rates(data: xr.Dataset, config: Config, rankings: Mapping[str, Sequence[Compared]]) -> Figure:
    """A map for each task: median loss by learning rate and cell, cells as in the ranking."""
    tasks, rows = list(rankings), len(config.cells)
    figure, axes = plots.subplots(
        1, len(tasks), width=1.5 + 3.4 * len(tasks), height=0.3 * rows + 1.6
    )
    for ax, task in zip(axes[0], tasks, strict=True):
        edges, medians = analysis.by_rate(data, config, task, BINS)
        names = [one.cell for one in rankings[task]]
        values = medians[[config.cells.index(name) for name in names]]
        worst = float(data.baseline.sel(task=task))
        ax.set_facecolor("#bbbbbb")
        mesh = ax.pcolormesh(
            edges,
            np.arange(rows + 1) - 0.5,
            np.ma.masked_invalid(values),
            cmap="viridis_r",
            vmin=np.nanmin(values),
            vmax=max(worst, float(np.nanmin(values)) + 1e-9),
            rasterized=True,
        )
        ax.set_yticks(range(rows), names)
        ax.set(title=task, xscale="log", xlabel="learning rate", ylim=(rows - 0.5, -0.5))
        figure.colorbar(mesh, ax=ax, label="median loss on validation", extend="max")
    return figure


def shares(found: Mapping[str, Mapping[str, Importance]]) -> Figure:
    """Bars for each task and cell: how the variance of a loss is shared out."""
    cells = list(next(iter(found.values())))
    figure, axes = plots.subplots(
        1,
        len(found),
        width=1.5 + 2.6 * len(found),
        height=0.3 * len(cells) + 1.4,
        sharey=True,
    )
    for ax, (task, importances) in zip(axes[0], found.items(), strict=True):
        left = np.zeros(len(cells))
        for (place, name), color in zip(HYPERPARAMETERS.items(), plots.COLORS, strict=False):
            width = np.nan_to_num([importances[cell].shares[place] for cell in cells])
            ax.barh(range(len(cells)), width, left=left, color=color, label=name)
            left += width
        ax.set_yticks(range(len(cells)), cells)
        ax.set(
            title=task, xlabel="share of the variance", xlim=(0, 1), ylim=(len(cells) - 0.5, -0.5)
        )
    plots.legend_below(figure, axes[0, 0])
    return figure
