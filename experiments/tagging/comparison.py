"""What each part of a tagger is good for: runs side by side, with their spread over seeds."""

from __future__ import annotations

import pathlib

from rnnlab import comparison, plots
from rnnlab.run.compare import PAGE, Finished
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table

DOTS = "dots.png"
F1, ACCURACY = "test F1", "test accuracy"
NUMBERS = (
    F1,
    "test precision",
    "test recall",
    ACCURACY,
    "test accuracy of new words",
    "parameters",
    "seconds of training",
)
#: What begins the names of the same numbers of a baseline.
BASELINES = ("features: ", "frequent: ")


def compare(runs: list[Finished], folder: pathlib.Path) -> None:
    """Writes the page and its picture."""
    rows = comparison.rows_of(runs)
    entities = any(row.values(F1) for row in rows)
    main = F1 if entities else ACCURACY
    rows = comparison.rows_of(runs, by=main)
    beside = next((p for p in BASELINES if comparison.numbers_of(rows, p + main)), "")
    table = comparison.table(rows, [*NUMBERS, *([beside + main] if beside else [])])
    shown = [F1, ACCURACY] if entities else [ACCURACY, "test accuracy of new words"]
    page = Report("Taggers, side by side")
    page.text(INTRODUCTION)
    page.table(table, caption=CAPTION + comparison.SPREAD)
    with plots.style():
        picture = comparison.plot_dots(rows, shown, [beside + name for name in shown if beside])
        plots.save(picture, folder / DOTS)
    page.figure(folder / DOTS, caption=comparison.DOTS, alt=f"Dots of {' and '.join(shown)}.")
    comparison.add_runs(page, rows, folder)
    page.write(folder / PAGE)
    print_table(table, title="Side by side")


INTRODUCTION = """\
    Networks that label the words of sentences, each trained by itself. The test split was labelled
    once, with the checkpoint that validation chose."""
CAPTION = """\
    F1, precision and recall are of entities (strict IOB2), accuracies of words. """
