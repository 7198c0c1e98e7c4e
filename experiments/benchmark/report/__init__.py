"""The report of a benchmark: tables in the terminal, pictures, and `report.html`."""

from experiments.benchmark.report.page import Picture, plot, show, write

__all__ = ["Picture", "plot", "show", "write"]
