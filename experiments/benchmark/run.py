"""Runs the suites one after the other and reports each part as soon as it is there."""

from __future__ import annotations

from experiments.benchmark import allocator
from experiments.benchmark.config import Config
from rnnlab.run.workdir import Status, Workdir


def run(config: Config, workdir: Workdir) -> Status:
    """Runs the suites; nothing is kept between runs."""
    # Imported here because each process of the suite `memory` imports this module, and what it
    # holds before it measures should be small.
    from experiments.benchmark import machine, report
    from experiments.benchmark.results import Results
    from experiments.benchmark.suites import SUITES

    allocator.require(config.allocator)
    results = Results(workdir, machine.describe(config.allocator))
    pictures: list[report.Picture] = []
    for suite in config.suites:
        for found in SUITES[suite](config):
            results.add(found)
            report.show(found)
            report.write(workdir, results, pictures)
        pictures += report.plot(suite, config, results, workdir)
        report.write(workdir, results, pictures)
    return "done"
