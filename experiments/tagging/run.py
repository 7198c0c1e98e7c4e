"""Trains a tagger, tests it and writes the report."""

from __future__ import annotations

from experiments.tagging import measure, report
from experiments.tagging.config import Config
from rnnlab.data.tagging import read_tagging
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import tagger
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    given = measure.problem(config, read_tagging(config.source))
    if given.given is not None:
        print(f"{config.vectors}: {given.given}")
    tagger.describe(workdir, config.network, given.coder)
    outcome = measure.fit(config, workdir, given)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(workdir, lambda: measure.summarise(config, workdir, given, outcome, best))
    if not workdir.path(REPORT).exists():
        report.write(workdir, summary, *measure.answers_of(workdir))
    print_table(
        list(summary.items()), columns=("what", "value"), title=f"Tagging {config.source.data}"
    )
    print(f"Curve, confusions and labelled sentences: {workdir.path(REPORT)}")
    return "done"
