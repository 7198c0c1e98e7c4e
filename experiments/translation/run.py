"""Trains a network that translates, tests it and writes the report."""

from __future__ import annotations

from experiments.translation import measure
from experiments.translation.config import Config
from rnnlab.data.pairs import read_pairs
from rnnlab.run.workdir import Status, Workdir
from rnnlab.training.summary import tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    splits = read_pairs(config.source)
    coders = measure.coders_of(config, splits["train"])
    model = measure.model_of(config, coders)
    rows = measure.rows_of(config, measure.coded(coders, splits["train"]))
    validation = measure.coded(coders, splits["validation"])
    outcome = measure.fit(config, workdir, model, rows, validation)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    return "done"
