"""What several seeds gave: quartiles, and shares that have solved a task."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from rnnlab.errors import UsageError
from rnnlab.plots.axes import ticks_at
from rnnlab.statistics import wilson_interval


def quantile_band(
    ax: Axes,
    x: ArrayLike,
    samples: ArrayLike,
    label: str,
    *,
    finite_only: bool = False,
    **kwargs: Any,
) -> Line2D:
    """Median as a line, quartiles as a band; a dot with a bar where there is one position alone.

    Args:
        ax: where to draw.
        x: positions [N].
        samples: values [S, N], a row for each seed; nan leaves a gap.
        label: entry in the legend.
        finite_only: leaves out nan instead, so that the seeds that have not diverged are shown.
        **kwargs: for the line, such as `color`.

    Raises:
        UsageError: if the shapes do not fit.
    """
    x, samples = np.asarray(x), np.asarray(samples, np.float64)
    if samples.shape[1:] != x.shape or x.ndim != 1 or not len(samples):
        raise UsageError(f"samples {samples.shape}: must be [S, N] with N of x {x.shape}")
    quantile = np.quantile
    if finite_only:
        some = np.isfinite(samples).any(axis=0)
        if some.any():  # otherwise nan is all there is to draw
            x, samples, quantile = x[some], samples[:, some], np.nanquantile
    low, median, high = quantile(samples, [0.25, 0.5, 0.75], axis=0)
    (line,) = ax.plot(x, median, label=label, **kwargs)
    ax.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    alone = _without_neighbours(median)
    if alone.any():
        look = {"color": line.get_color(), "linestyle": "none"}
        look["fillstyle"] = "full" if line.get_linestyle() == "-" else "none"
        ax.plot(x[alone], median[alone], marker="o", markersize=4, **look)
        ax.vlines(x[alone], low[alone], high[alone], color=line.get_color(), alpha=0.4)
        if len(x) == 1:  # the legend shows what is drawn
            line.set(marker="o", markersize=4, linestyle="none", fillstyle=look["fillstyle"])
    return line


def _without_neighbours(values: np.ndarray) -> np.ndarray:
    """Which finite values stand between values that are not, where no line is drawn."""
    finite = np.pad(np.isfinite(values), 1)
    return finite[1:-1] & ~finite[:-2] & ~finite[2:]


def success_rates(ax: Axes, x: ArrayLike, solved_at: np.ndarray, **kwargs: Any) -> None:
    """Share of seeds that have solved a task, with Wilson's 95 % interval.

    Args:
        ax: where to draw.
        x: positions [N].
        solved_at: when each seed solved it, nan where it did not [N, S].
        **kwargs: for the line, such as `color` and `label`.
    """
    trials = solved_at.shape[-1]
    counts = np.isfinite(solved_at).sum(axis=-1)
    rates = counts / trials
    bounds = np.array([wilson_interval(int(count), trials) for count in counts])
    ax.errorbar(x, rates, np.abs(bounds.T - rates), marker="o", capsize=2, **kwargs)


def rates_by_length(ax: Axes, lengths: ArrayLike) -> None:
    """The axes of success rates against the length, with room beside a single length too.

    Args:
        ax: where rates are drawn.
        lengths: the lengths that were measured, increasing.
    """
    lengths = np.asarray(lengths)
    limits = (lengths[0] / 1.15, lengths[-1] * 1.15)
    ax.set(xlabel="length T (steps)", xscale="log", xlim=limits, ylim=(-0.05, 1.05))
    ticks_at(ax.xaxis, lengths)
