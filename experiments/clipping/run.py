"""Runs `clipping`."""

from __future__ import annotations

from experiments.clipping import report
from experiments.clipping.config import Config
from experiments.clipping.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, or reads what was trained; then writes pictures and report, and prints a table."""
    report.write(workdir, measure(config, workdir), config)
    return "done"
