"""The report of a benchmark: tables in the terminal, pictures, and `report.html`."""

from experiments.benchmark.report.page import Picture, draw, show, write

__all__ = ["Picture", "draw", "show", "write"]
