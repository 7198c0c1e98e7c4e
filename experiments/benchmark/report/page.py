"""What a suite has found in the terminal, and `report.html` with all that there is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from experiments.benchmark.config import Config
from experiments.benchmark.report import layers, scaling
from experiments.benchmark.report.captioned import CaptionedFigure
from experiments.benchmark.report.sentences import busy_warning, fastest
from experiments.benchmark.results import Comparison, Result, Results, Rows, Table, columns
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir


class Picture(NamedTuple):
    """A picture on disk.

    Attributes:
      file: its name in the work directory.
      caption: what it shows.
      alt: what a reader who cannot see it should know.
    """

    file: str
    caption: str
    alt: str


METHOD = """\
    Candidates take turns, round by round; times are medians over the rounds. A ratio is one of
    medians, and its interval a 95 % percentile bootstrap over the rounds, in which both had their
    turn (Efron and Tibshirani 1993; Kalibera and Jones 2013). It covers what varied within this
    run, and not what differs from one machine or one start to the next."""

#: What plots the figures of a suite.
FIGURES: dict[str, Callable[[Config, Results], Iterator[CaptionedFigure]]] = {
    "layers": layers.figures,
    "scaling": scaling.figures,
}


def show(found: Result) -> None:
    """Prints what a suite has found: complete tables, and each comparison in short."""
    match found:
        case Table(title, rows, complete=True) if rows:
            print_table(rows, title=title, columns=columns(rows))
            _warn(rows)
        case Comparison(problem, rows):
            print_table(layers.by_pass(rows), title=f"{problem}: milliseconds")
            for sentence in fastest(rows):
                print(sentence)
            _warn(rows)


def _warn(rows: Rows) -> None:
    if warning := busy_warning(rows):
        print(f"warning: {warning}", file=sys.stderr)


def plot(suite: str, config: Config, results: Results, workdir: Workdir) -> list[Picture]:
    """Plots the figures of a suite that has ended."""
    if suite not in FIGURES:
        return []
    pictures = []
    with plots.style():
        for one in FIGURES[suite](config, results):
            file = f"{one.name}.png"
            plots.save(one.figure, workdir.path(file))
            pictures.append(Picture(file, one.caption, one.alt))
    return pictures


def write(workdir: Workdir, results: Results, pictures: Sequence[Picture]) -> None:
    """Writes `report.html`."""
    report = Report("Benchmark")
    every = [row for rows in results.tables.values() for row in rows]
    if warning := busy_warning(every):
        report.text(f"Warning: {warning}")
    report.text(METHOD)
    for title, rows in results.tables.items():
        if rows:
            report.table(rows, caption=title, columns=columns(rows))
    for picture in pictures:
        report.figure(workdir.path(picture.file), caption=picture.caption, alt=picture.alt)
    report.heading("Machine")
    report.table(
        [{"what": what, "value": json.dumps(value)} for what, value in results.machine.items()],
        caption="What all candidates ran on.",
    )
    report.settings(workdir)
    report.write(workdir.path("report.html"))
