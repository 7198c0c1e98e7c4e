"""Trains word vectors, tests them beside a count model and writes the report."""

from __future__ import annotations

from experiments.embeddings import measure, report
from experiments.embeddings.config import Config
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import vectors
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    text, tests = measure.read_text(config), measure.read_tests(config)
    text.claim(workdir, config.source.corpus)
    vectors.describe(workdir, config.vectors, text.vocabulary)
    outcome = measure.fit(config, workdir, text, tests)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    params = best_state(outcome).params
    both = measure.both_models(config, workdir, text, params)
    summary = once(workdir, lambda: measure.summarise(config, text, tests, both, params))
    if not workdir.path(REPORT).exists():
        report.write(workdir, config, outcome.step // config.training.epochs, summary, tests, both)
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title="Word vectors")
    print(f"Neighbours, analogies and a map: {workdir.path(REPORT)}")
    return "done"
