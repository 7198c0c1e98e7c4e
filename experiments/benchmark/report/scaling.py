"""The picture of the suite `scaling`."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.benchmark.config import Config
from experiments.benchmark.report.captioned import CaptionedFigure
from experiments.benchmark.results import (
    FIRST,
    HIGH,
    LOW,
    MEDIAN,
    MEMORY,
    SCALING,
    Results,
    Rows,
    known_points,
)
from rnnlab import plots

#: Labels of axes that say more than the column of the table.
LABELS = {FIRST: "first call (s)"}


def figures(config: Config, results: Results) -> Iterator[CaptionedFigure]:
    """Time, memory and first call along all axes."""
    settings = config.scaling
    yield CaptionedFigure(
        "scaling",
        plot(results.tables[SCALING.format(base=settings.base)]),
        caption=f"Gradient of {settings.layer} around B x T x D x H = {settings.base}, float32, "
        "logarithmic scales: time (median, quartiles), temporaries of XLA, and the first call.",
        alt="Time, memory and compile time against sequence length, width, batch and depth.",
    )


def plot(rows: Rows) -> Figure:
    """Rows of axes: time, memory, first call; columns: T, H, B, depth."""
    sizes = list(dict.fromkeys(row["axis"] for row in rows))
    names = list(dict.fromkeys(row["candidate"] for row in rows))
    columns = (MEDIAN, MEMORY, FIRST)
    figure, axes = plots.subplots(
        len(columns), len(sizes), width=max(6.5, 0.8 + 3.1 * len(sizes)), height=8, sharex="col"
    )
    for i, column in enumerate(columns):
        for j, size in enumerate(sizes):
            ax = axes[i, j]
            for number, name in enumerate(names):
                mine = [r for r in rows if (r["axis"], r["candidate"]) == (size, name)]
                _line(ax, mine, column, name, number)
            ax.set_xscale("log", base=2)
            ax.set_yscale("log")
            ax.grid(alpha=0.25)
            ax.set(
                xlabel=size if i == len(columns) - 1 else "",
                ylabel="" if j else LABELS.get(column, column),
            )
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        *handles,
        loc="outside lower center",
        ncols=plots.even_columns(len(names), 1 + 2 * len(sizes)),
    )
    return figure


def _line(ax: Axes, rows: Rows, column: str, name: str, number: int) -> None:
    """One candidate along one axis, with quartiles where it is time."""
    sizes, values = known_points(rows, column)
    spread = None
    if column == MEDIAN:
        timed = [row for row in rows if MEDIAN in row]
        low = [row[MEDIAN] - row[LOW] for row in timed]
        spread = [low, [row[HIGH] - row[MEDIAN] for row in timed]]
    color, marker = plots.COLORS[number % 7], "osD^vPX"[number % 7]
    ax.errorbar(sizes, values, yerr=spread, label=name, color=color, marker=marker, markersize=4)
