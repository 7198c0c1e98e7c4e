"""Which network foresees chorales best: runs side by side, with their spread over seeds."""

from __future__ import annotations

import pathlib

from rnnlab import comparison, plots
from rnnlab.run.compare import PAGE, Finished
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table

DOTS = "dots.png"
NATS, VALIDATION = "test nats", "validation nats"
NUMBERS = (
    NATS,
    "test nats, mean of chorales",
    VALIDATION,
    "best epoch",
    "hidden units",
    "parameters",
    "seconds of training",
)


def compare(runs: list[Finished], folder: pathlib.Path) -> None:
    """Writes the page and its picture."""
    rows = comparison.rows_of(runs, by=NATS)[::-1]
    table = comparison.table(rows, NUMBERS)
    page = Report("Networks that foresee chorales, side by side")
    page.text(INTRODUCTION)
    page.table(table, caption=CAPTION + comparison.SPREAD)
    with plots.style():
        plots.save(comparison.plot_dots(rows, [NATS, VALIDATION]), folder / DOTS)
    page.figure(folder / DOTS, caption=comparison.DOTS, alt="Dots of test and validation nats.")
    comparison.add_runs(page, rows, folder)
    page.write(folder / PAGE)
    print_table(table, title="Side by side")


INTRODUCTION = """\
    Networks that foresee the next frame of a chorale, each trained by itself. The test split was
    read once, with the checkpoint that validation chose. Published, on the chorales of Bach with
    300,000 parameters (Bai et al. 2018, Table 1): tanh 8.91, LSTM 8.45, GRU 8.43, TCN 8.10."""
CAPTION = """\
    In nats for each frame but the first of a chorale, less is better. """
