"""Poolings, inputs and whatever else differs between runs, side by side."""

from __future__ import annotations

import pathlib

from rnnlab import comparison, plots
from rnnlab.run.compare import PAGE, Finished
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table

DOTS = "dots.png"
SHOWN = ("test accuracy", "test macro F1")
NUMBERS = (
    *SHOWN,
    "validation accuracy",
    "validation macro F1",
    "test loss",
    "baseline test accuracy",
    "seconds of training",
)


def compare(runs: list[Finished], folder: pathlib.Path) -> None:
    """Writes the page and its picture."""
    rows = comparison.rows_of(runs, by=SHOWN[0])
    table = comparison.table(rows, NUMBERS)
    page = Report("Classes of texts, side by side")
    page.text(INTRODUCTION)
    page.table(table, caption=CAPTION + comparison.SPREAD)
    with plots.style():
        picture = comparison.plot_dots(rows, SHOWN, [f"baseline {name}" for name in SHOWN])
        plots.save(picture, folder / DOTS)
    page.figure(folder / DOTS, caption=DOTS_CAPTION, alt="Dots of accuracy and macro-F1.")
    comparison.add_runs(page, rows, folder)
    page.write(folder / PAGE)
    print_table(table, title="Side by side")


INTRODUCTION = """\
    Networks that name the class of a text, each trained by itself. The test texts were evaluated
    once, with the checkpoint that did best on the validation texts. The baseline is TF-IDF with
    logistic regression on the same texts."""
CAPTION = "The loss is in nats for each text. "
DOTS_CAPTION = (
    comparison.DOTS
    + """\
 What differs between test texts is not in it: the report of each run has the interval of its own
    accuracy."""
)
