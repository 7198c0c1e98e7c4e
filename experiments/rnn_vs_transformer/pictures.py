"""Slopes and curves of the comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.rnn_vs_transformer import clocks
from experiments.rnn_vs_transformer.clocks import Row
from experiments.rnn_vs_transformer.measure import EXPONENTS, Trained
from rnnlab import plots

#: Labels and units of the axes.
LABELS = {
    "symbols per second of training against T": ("T, steps of a window", "symbols per second", 1.0),
    "memory of training against T": ("T, steps of a window", "temporaries (MiB)", 2.0**-20),
    "time of a symbol against its position": ("position", "µs of a generated symbol", 1e6),
    "bytes kept against the position": ("position", "kept (KiB)", 2.0**-10),
}
assert LABELS.keys() == EXPONENTS.keys()


def plot_slopes(summary: dict[str, Any], rows: list[Row]) -> Figure:
    """Times and memory against sizes, logarithmic, with the fitted lines dashed.

    Args:
        summary: with the exponents.
        rows: what was timed.
    """
    figure, axes = plots.subplots(2, 2, width=9, height=7.2)
    for ax, (what, labels) in zip(axes.flat, LABELS.items(), strict=True):
        timed, column = EXPONENTS[what]
        xlabel, ylabel, unit = labels
        for place, (name, numbers) in enumerate(summary["networks"].items()):
            _line(ax, clocks.of(rows, timed, name), column, unit, numbers[what], name, place)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set(xlabel=xlabel, ylabel=ylabel)
        plots.ticks_at(ax.xaxis, sorted({row["size"] for row in rows if row["what"] == timed}))
        ax.legend()
    return figure


def _line(
    ax: Axes,
    rows: list[Row],
    column: str,
    unit: float,
    fit: dict[str, float],
    name: str,
    place: int,
) -> None:
    """Medians with quartiles, and the power law through those that it was fitted to."""
    sizes = np.array([row["size"] for row in rows], float)
    values = unit * np.array([row[column] for row in rows], float)
    look: Any = {"color": plots.COLORS[place], "marker": "osD^vPX"[place % 7], "ms": 4}
    label = f"{name}: exponent {fit['exponent']:z.2f}"
    spread = None
    if column != "bytes":
        quartiles = [_at(rows, column, end, values) for end in ("from", "to")]
        low, high = np.sort(quartiles, axis=0)
        spread = [values - low, high - values]
    ax.errorbar(sizes, values, yerr=spread, ls="none", label=label, **look)
    fitted = sizes >= fit["from size"]
    middle = np.exp(np.log(values[fitted]).mean() - fit["exponent"] * np.log(sizes[fitted]).mean())
    line = middle * sizes[fitted] ** fit["exponent"]
    ax.plot(sizes[fitted], line, ls="--", lw=1, color=look["color"])


def _at(rows: list[Row], column: str, end: str, values: np.ndarray) -> np.ndarray:
    """Values as they are with a quartile of the seconds instead of the median."""
    ratio = np.array([row[end] / row["seconds"] for row in rows])
    return values * ratio if column == "seconds" else values / ratio


def plot_curves(updates: list[Trained], time: list[Trained], symbols: int) -> Figure:
    """Validation losses against symbols read, and against seconds.

    Args:
        updates: networks after as many updates.
        time: after as much time; empty if that was not measured.
        symbols: of an update.
    """
    figure, axes = plots.subplots(1, 2, width=9, sharey=True)
    for ax, trained, xlabel in zip(
        axes[0],
        (updates, time or updates),
        ("million symbols read", "seconds of updates on this machine"),
        strict=True,
    ):
        for place, one in enumerate(trained):
            unit = symbols / 1e6 if ax is axes[0, 0] else one.seconds
            steps, losses = np.array(one.curve, float).T
            look: Any = {"color": plots.COLORS[place], "marker": "osD^vPX"[place % 7], "ms": 3}
            ax.plot(steps[1:] * unit, losses[1:], ls="-", label=one.contender.name, **look)
        ax.set(xlabel=xlabel)
        ax.legend()
    axes[0, 0].set(ylabel="validation, nats per character")
    return figure
