"""Runs `memory_tasks`."""

from __future__ import annotations

from experiments.memory_tasks import report
from experiments.memory_tasks.config import Config
from experiments.memory_tasks.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, or reads what was trained; then writes pictures and report, and prints tables."""
    report.write(workdir, measure(config, workdir), config)
    return "done"
