"""Which network forecasts longest: runs side by side, with their spread over seeds."""

from __future__ import annotations

import pathlib

from rnnlab import comparison, plots
from rnnlab.run.compare import PAGE, Finished
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table

DOTS = "dots.png"
VALID = "valid time of network"
EXPONENT = "largest Lyapunov exponent"
ECHO = "valid time of echo-state network"
NUMBERS = (
    VALID,
    ECHO,
    "valid time of linear autoregression",
    EXPONENT,
    "error of one step of network",
    "distance of histograms of network",
    "distance of spectra of network",
    "parameters",
    "seconds of training",
)


def compare(runs: list[Finished], folder: pathlib.Path) -> None:
    """Writes the page and its picture."""
    rows = comparison.rows_of(runs, by=VALID)
    table = comparison.table(rows, NUMBERS)
    page = Report("Networks that forecast, side by side")
    page.text(INTRODUCTION)
    page.table(table, caption=CAPTION + comparison.SPREAD)
    with plots.style():
        figure = comparison.plot_dots(rows, [VALID, EXPONENT], [ECHO, "as published"])
        plots.save(figure, folder / DOTS)
    page.figure(folder / DOTS, caption=comparison.DOTS, alt="Dots of valid times and exponents.")
    comparison.add_runs(page, rows, folder)
    page.write(folder / PAGE)
    print_table(table, title="Side by side")


INTRODUCTION = """\
    Networks that forecast a series, each trained by itself. The test split was read once, with the
    checkpoint that validation chose."""
CAPTION = """\
    Valid times are medians over starts, in Lyapunov times; exponents in nats for each unit of
    time. """
