"""Runs `lstm_odyssey`."""

from __future__ import annotations

from experiments.lstm_odyssey import report
from experiments.lstm_odyssey.config import Config
from experiments.lstm_odyssey.measure import measure
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Searches, or reads what was found; then writes pictures and report, and prints tables."""
    report.write(workdir, measure(config, workdir), config)
    return "done"
