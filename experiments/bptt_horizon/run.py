"""Runs `bptt_horizon`."""

from __future__ import annotations

from experiments.bptt_horizon import report
from experiments.bptt_horizon.config import Config
from experiments.bptt_horizon.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Measures, or reads what was measured; then writes pictures and report, and prints a table."""
    report.write(workdir, measure(config, workdir))
    return "done"
