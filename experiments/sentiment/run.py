"""Trains a network that names the class of texts, tests it and writes the report."""

from __future__ import annotations

from experiments.sentiment import measure, report
from experiments.sentiment.config import Config
from rnnlab.data.classification import read_classification
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import classifier
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    data = read_classification(config.source)
    vocabulary = measure.vocabulary_of(config, data.train)
    splits = measure.coded(data, vocabulary)
    model, covered = measure.model_of(config, vocabulary, len(data.train.names))
    if covered:
        print(covered)
    classifier.describe(workdir, config.network, vocabulary, data.train.names)
    outcome = measure.fit(config, workdir, splits, model)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(
        workdir,
        lambda: (
            measure.summarise(config, workdir, splits, model, outcome, best)
            | ({"pretrained": covered} if covered else {})
        ),
    )
    if not workdir.path(REPORT).exists():
        epoch = measure.epoch_of(config, splits.train)
        report.write(workdir, epoch, summary, data.test, measure.answers_of(workdir))
    title = f"{config.source.data}, {config.network.cell}, {config.network.pooling}"
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title=title)
    print(f"Curve, confusions and texts: {workdir.path(REPORT)}")
    return "done"
