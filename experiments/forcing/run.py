"""Runs `forcing`."""

from __future__ import annotations

from experiments.forcing import report
from experiments.forcing.config import Config
from experiments.forcing.measure import measure
from rnnlab.run.workdir import Status, Workdir
from rnnlab.training.series import read


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, or reads what was trained; then writes the picture and the page."""
    series = read(config.source)
    report.write(workdir, measure(config, workdir, series), config, series)
    return "done"
