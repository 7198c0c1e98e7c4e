"""Measures what the lectures say, runs the scenarios and writes the page."""

from __future__ import annotations

from experiments.lecture import measure, report
from experiments.lecture.config import Config
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.training.summary import REPORT


def run(config: Config, workdir: Workdir) -> Status:
    """Measures, runs and reports; a rerun does what is missing."""
    topics = measure.measure(config, workdir)
    if not workdir.path(REPORT).exists():
        report.write(config, workdir, topics)
    print_table(report.numbers(topics), columns=report.COLUMNS, title="As the lectures have it")
    if config.scenarios:
        print_table(report.ran(config, workdir), title="What goes in, what comes out")
    print(f"The lecture: {workdir.path(REPORT)}")
    return "done"
