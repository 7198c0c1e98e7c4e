"""Speakers, directions and whatever else differs between runs, side by side."""

from __future__ import annotations

import pathlib

from experiments.spoken_digits.baselines import NAMES
from rnnlab import comparison, plots
from rnnlab.run.compare import PAGE, Finished
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table

DOTS = "dots.png"
#: What is best where it is largest: of digits, and of strings.
BEST = "test accuracy", "test strings exactly right"
ERRORS = "test digit error rate"
NUMBERS = (
    BEST[0],
    "validation accuracy",
    *(f"test accuracy of {name}" for name in NAMES),
    ERRORS,
    "test digit error rate, greedy",
    BEST[1],
    "best epoch",
    "parameters",
    "seconds of training",
)


def compare(runs: list[Finished], folder: pathlib.Path) -> None:
    """Writes the page and its picture."""
    best = BEST[0] if any(BEST[0] in run.summary for run in runs) else BEST[1]
    rows = comparison.rows_of(runs, by=best)
    table = comparison.table(rows, NUMBERS)
    page = Report("Networks that hear digits, side by side")
    page.text(INTRODUCTION)
    page.table(table, caption=comparison.SPREAD)
    with plots.style():
        plots.save(comparison.plot_dots(rows, [*BEST, ERRORS]), folder / DOTS)
    page.figure(folder / DOTS, caption=comparison.DOTS, alt="Dots of accuracies and error rates.")
    comparison.add_runs(page, rows, folder)
    page.write(folder / PAGE)
    print_table(table, title="Side by side")


INTRODUCTION = """\
    Networks that hear digits, each trained by itself. Test recordings were heard once, with the
    checkpoint that did best on the validation ones. Where a speaker is held out, all recordings of
    that one test, and none trains or validates."""
