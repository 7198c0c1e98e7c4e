"""Which network labels frames best: runs side by side, with their spread over seeds."""

from __future__ import annotations

import pathlib

from rnnlab import comparison, plots
from rnnlab.run.compare import PAGE, Finished
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table

DOTS = "dots.png"
MACRO, SEGMENTS = "test macro F1", "test F1@50"
BASELINES = ("logistic regression: ", "gradient boosting: ")
NUMBERS = (
    MACRO,
    "test accuracy",
    SEGMENTS,
    "test edit score",
    "validation macro F1",
    *(name + what for name in BASELINES for what in (MACRO, SEGMENTS)),
    "parameters",
    "seconds of training",
)


def compare(runs: list[Finished], folder: pathlib.Path) -> None:
    """Writes the page and its picture."""
    rows = comparison.rows_of(runs, by=MACRO)
    table = comparison.table(rows, NUMBERS)
    page = Report("Networks that label frames, side by side")
    page.text(INTRODUCTION)
    page.table(table, caption=CAPTION + comparison.SPREAD)
    with plots.style():
        beside = [BASELINES[1] + name for name in (MACRO, SEGMENTS)]
        picture = comparison.plot_dots(rows, [MACRO, SEGMENTS], beside)
        plots.save(picture, folder / DOTS)
    page.figure(folder / DOTS, caption=comparison.DOTS, alt="Dots of macro-F1 and F1@50.")
    comparison.add_runs(page, rows, folder)
    page.write(folder / PAGE)
    print_table(table, title="Side by side")


INTRODUCTION = """\
    Networks that label the frames of videos, each trained by itself. The test videos, of a person
    who is in no other, were labelled once, with the checkpoint that validation chose."""
CAPTION = """\
    Macro-F1 is that of frames, F1@50 that of segments that overlap by half. """
