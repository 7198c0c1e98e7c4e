"""Runs side by side: a row for those that differ in the seed alone, with mean and spread.

rows = comparison.rows_of(runs)
page.table(comparison.table(rows, ["test accuracy"]), caption=comparison.SPREAD)
plots.save(comparison.plot_dots(rows, ["test accuracy"]), folder / "dots.png")
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.run import names
from rnnlab.run.compare import Finished
from rnnlab.run.report import Report
from rnnlab.statistics import mean_interval

#: Fields that say where something lies, by the last part of their names, and not what is run.
PLACES = ("data_dir", "manual_dir")
SPREAD = """\
    Runs that differ in the seed alone are one row: the mean, for three seeds or more ± half its
    95 % interval by Student's t, and in brackets the least and the largest value."""
DOTS = """\
    A circle for each run; the bar is the mean, and the line, for three seeds or more, its 95 %
    interval by Student's t."""
#: Seeds from which an interval is told: that of two is thirteen times as wide as they differ.
FEWEST = 3
#: Letters of a line of a label beside dots.
LONGEST = 28


class Row(NamedTuple):
    """Runs that differ in nothing but the seed, and where they lie.

    Attributes:
        settings: the fields that differ between the rows, by their shortest names.
        runs: one for each seed.
    """

    settings: dict[str, Any]
    runs: list[Finished]

    @property
    def label(self) -> str:
        """The settings in words: where one field differs and has words, these alone."""
        if len(self.settings) == 1:
            (value,) = self.settings.values()
            if isinstance(value, str):
                return value
        return ", ".join(_words(*item) for item in self.settings.items()) or "all runs"

    def values(self, name: str) -> list[float]:
        """A number of the summaries of all runs that have it, where it is finite."""
        found = (run.summary.get(name) for run in self.runs)
        return [float(v) for v in found if isinstance(v, int | float) and math.isfinite(v)]

    def mean(self, name: str) -> float:
        """The mean of a number; nan where no run has it."""
        values = self.values(name)
        return float(np.mean(values)) if values else math.nan


def rows_of(runs: Sequence[Finished], by: str | None = None) -> list[Row]:
    """The runs as rows.

    Args:
        runs: of one experiment.
        by: the number whose largest mean comes first; None for the order of the runs.
    """
    configs = [{n: v for n, v in run.config.items() if not _is_apart(n)} for run in runs]
    every = dict.fromkeys(name for config in configs for name in config)
    # Compared as text: nan equals itself there, and 1 is not 1.0.
    texts = [{name: json.dumps(config.get(name)) for name in every} for config in configs]
    differ = [name for name in every if len({text[name] for text in texts}) > 1]
    rows: dict[str, Row] = {}
    for run, config, text in zip(runs, configs, texts, strict=True):
        settings = {names.shortest(name, every): config.get(name) for name in differ}
        key = json.dumps([text[name] for name in differ])
        rows.setdefault(key, Row(settings, [])).runs.append(run)
    found = list(rows.values())
    if by is None:
        return found
    return sorted(found, key=lambda row: -mean if (mean := row.mean(by)) == mean else math.inf)


def numbers_of(rows: Sequence[Row], prefix: str = "") -> list[str]:
    """The names of all numbers of the summaries that begin so, in their order."""
    summaries = [run.summary for row in rows for run in row.runs]
    found = (name for summary in summaries for name in summary if name.startswith(prefix))
    return [name for name in dict.fromkeys(found) if any(row.values(name) for row in rows)]


def table(rows: Sequence[Row], numbers: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each: settings, how many seeds, and numbers with their spread.

    Args:
        rows: of the table.
        numbers: names of numbers of the summaries; those that no run has are left out.
    """
    known = [name for name in numbers if any(row.values(name) for row in rows)]
    return [
        {
            **{name: _text(value) for name, value in row.settings.items()},
            "seeds": len(row.runs),
            **{name: spread_text(row.values(name)) for name in known},
        }
        for row in rows
    ]


def spread_text(values: Sequence[float]) -> str | float | int | None:
    """Mean, ± half its 95 % interval, least and largest value; the number itself where it is one.

    The interval is there from three values on. All are written to the place of the fourth digit of
    the mean.
    """
    if len(set(values)) <= 1:
        return None if not values else int(values[0]) if values[0] == int(values[0]) else values[0]
    mean = float(np.mean(values))
    places = max(3 - math.floor(math.log10(abs(mean))), 0) if mean else 4
    low, high = mean_interval(values)
    half = f" ± {(high - low) / 2:.{places}f}" if len(values) >= FEWEST else ""
    return f"{mean:.{places}f}{half} ({min(values):.{places}f} … {max(values):.{places}f})"


def plot_dots(rows: Sequence[Row], numbers: Sequence[str], baselines: Sequence[str] = ()) -> Figure:
    """The runs as dots in a panel for each number, a line of dots for each row.

    Args:
        rows: from top to bottom.
        numbers: names of numbers of the summaries; those that no run has are left out.
        baselines: for some of them, the number that is drawn as a dotted line; empty for none.
    """
    lines = dict(zip(numbers, baselines, strict=False))
    known = [name for name in numbers if any(row.values(name) for row in rows)]
    labels = [textwrap.fill(row.label, LONGEST, break_on_hyphens=False) for row in rows]
    size = {"width": 7.5, "height": 0.38 * sum(1 + text.count("\n") / 2 for text in labels) + 1.1}
    figure, axes = plots.subplots(1, max(len(known), 1), sharey=True, **size)
    for ax, name in zip(axes[0], known, strict=False):
        for place, row in enumerate(rows):
            _plot_row(ax, place, row.values(name))
        given = [value for row in rows for value in row.values(lines.get(name) or "")]
        if given:
            label = lines[name].removesuffix(name).rstrip(": ")
            ax.axvline(np.median(given), color="k", ls=":", lw=1, label=label)
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
        ax.set(xlabel=name, ylim=(len(rows) - 0.5, -0.5))
        ax.set_yticks(range(len(rows)), labels=labels)
        ax.grid(axis="y", color="#dddddd", lw=0.6)
        ax.set_axisbelow(True)
        ax.margins(x=0.08)
        ax.locator_params(axis="x", nbins=max(3, 8 // len(known)))  # numbers of any length fit
    return figure


def _plot_row(ax: Any, place: int, values: list[float]) -> None:
    """The runs of a row, their mean, and its interval."""
    if len(values) >= FEWEST:
        ax.hlines(place, *mean_interval(values), color="C0", lw=2, alpha=0.5)
    if len(values) > 1:
        ax.plot(np.mean(values), place, "|", color="k", ms=13, mew=1.8)
    ax.plot(values, [place] * len(values), "o", color="C0", ms=5, mfc="w", mew=1.2)


def add_runs(page: Report, rows: Sequence[Row], folder: pathlib.Path) -> None:
    """Adds a section that says which runs were read.

    Args:
        page: under construction.
        rows: of its tables.
        folder: of the page, where the paths of the work directories begin.
    """
    page.heading("Runs")
    page.table(
        [
            (row.label, *(_text(seed) for seed in _seeds(run)), _path(run.root, folder))
            for row in rows
            for run in row.runs
        ],
        columns=("row", "seed", "work directory"),
        caption="Only runs that are done; each has a report of its own.",
    )


def _seeds(run: Finished) -> list[Any]:
    seeds = [value for name, value in run.config.items() if name.rpartition(".")[2] == "seed"]
    return seeds[:1] or [None]


def _path(root: pathlib.Path, folder: pathlib.Path) -> str:
    """The path from a folder, where it lies in or beside it."""
    relative = os.path.relpath(os.path.abspath(root), os.path.abspath(folder))
    return relative if relative.count("..") <= 1 else str(root)


def _is_apart(name: str) -> bool:
    """Whether runs that differ in this field are one row."""
    return name.rpartition(".")[2] in ("seed", *PLACES)


def _words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name}={_text(value)}"


def _text(value: Any) -> Any:
    """A value as the command line takes it; numbers stay numbers."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None or isinstance(value, int | float) else names.value_text(value)
