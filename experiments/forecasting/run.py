"""Trains a network to forecast, judges it and writes the report."""

from __future__ import annotations

from experiments.forecasting import measure, report
from experiments.forecasting.config import Config
from rnnlab.run.results import FILE, load_dataset
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import forecaster
from rnnlab.training.series import read
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    series = read(config.source)
    given = measure.problem(config, series)
    forecaster.describe(workdir, config.network, series, config.forecasts.before)
    outcome = measure.fit(config, workdir, given)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(workdir, lambda: measure.summarise(config, workdir, given, outcome, best))
    if not workdir.path(REPORT).exists():
        report.write(config, workdir, series, summary, load_dataset(workdir.path(FILE)))
    title = f"Forecasting {config.source.series}, by {config.network.cell}"
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title=title)
    print(f"Forecasts, attractors and the table of all forecasters: {workdir.path(REPORT)}")
    return "done"
