"""Trains a character model, tests it and writes the report."""

from __future__ import annotations

from experiments.char_lm import measure, report
from experiments.char_lm.config import Config
from rnnlab.data.corpus import read_characters
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import text
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    corpus = read_characters(config.source)
    corpus.claim(workdir, config.source.corpus)
    text.describe(workdir, config.network, corpus)
    model = config.network.model(corpus.vocabulary.size)
    outcome = measure.fit(config, workdir, corpus, model)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(workdir, lambda: measure.summarise(corpus, model, outcome, best))
    if not workdir.path(REPORT).exists():
        report.write(workdir, summary, corpus, model, best)
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title="Losses in nats per character")
    print(f"Generated texts, curve and cells: {workdir.path(REPORT)}")
    return "done"
