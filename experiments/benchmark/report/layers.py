"""Compared candidates: the short table of one problem, and a picture of each layer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.benchmark.config import Config
from experiments.benchmark.problem import PASSES
from experiments.benchmark.report.captioned import CaptionedFigure
from experiments.benchmark.results import HIGH, LAYERS, LOW, MEDIAN, Results, Rows
from rnnlab import plots


def by_pass(rows: Rows) -> Rows:
    """Candidates by passes: medians with quartiles, or why there is no time."""
    table = []
    for name in dict.fromkeys(row["candidate"] for row in rows):
        mine = {row["pass"]: row for row in rows if row["candidate"] == name}
        table.append({"candidate": name} | {pass_: _cell(row) for pass_, row in mine.items()})
    return table


def _cell(row: dict[str, Any]) -> str:
    if MEDIAN not in row:
        return row["note"]
    return f"{row[MEDIAN]:.4g} ({row[LOW]:.4g}–{row[HIGH]:.4g})"


def figures(config: Config, results: Results) -> Iterator[CaptionedFigure]:
    """A picture of each layer."""
    for layer in config.layers.layers:
        yield CaptionedFigure(
            f"layers-{layer.replace(':', '-')}",
            plot([row for row in results.tables[LAYERS] if row["layer"] == layer]),
            caption=f"Layer {layer}: time of a call, median and quartiles, logarithmic scale. "
            "Left is faster.",
            alt=f"Times of all candidates of {layer}, for each shape, pass and dtype.",
        )


def plot(rows: Rows) -> Figure:
    """Dots with quartiles: candidates by time, a column for each pass, a row for each dtype."""
    dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
    names = list(dict.fromkeys(row["candidate"] for row in rows))[::-1]
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    passes = [pass_ for pass_ in PASSES if any(row["pass"] == pass_ for row in rows)]
    height = len(dtypes) * (0.28 * len(names) + 1.2)
    width = 2.0 + 3.7 * len(passes)
    figure, axes = plots.subplots(len(dtypes), len(passes), width=width, height=height, sharey=True)
    for (i, dtype), (j, pass_) in itertools.product(enumerate(dtypes), enumerate(passes)):
        mine = [r for r in rows if (r["dtype"], r["pass"]) == (dtype, pass_) and MEDIAN in r]
        _dots(axes[i, j], mine, names, shapes)
        axes[i, j].set(title=f"{pass_}, {dtype}", xscale="log", xlabel="milliseconds")
        _milliseconds(axes[i, j])
        axes[i, j].set_yticks(range(len(names)), names)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        title="B x T x D x H",
        loc="outside lower center",
        ncols=len(shapes),
    )
    return figure


def _dots(ax: Axes, rows: Rows, names: Sequence[str], shapes: Sequence[str]) -> None:
    """The medians and quartiles of the candidates, in a colour for each shape."""
    for number, shape in enumerate(shapes):
        mine = [row for row in rows if row["shape"] == shape]
        spread = [[r[MEDIAN] - r[LOW] for r in mine], [r[HIGH] - r[MEDIAN] for r in mine]]
        ax.errorbar(
            [row[MEDIAN] for row in mine],
            [names.index(row["candidate"]) for row in mine],
            xerr=spread if mine else None,
            fmt="osD^vP"[number % 6],
            color=plots.COLORS[number % len(plots.COLORS)],
            markersize=4.5,
            label=shape,
        )


def _milliseconds(ax: Axes) -> None:
    """Marks 1, 2 and 5 of each power of ten, or each power where there are many."""
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="x", alpha=0.25)
