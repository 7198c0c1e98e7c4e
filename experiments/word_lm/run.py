"""Trains a word model, tests it and writes the report."""

from __future__ import annotations

from experiments.word_lm import measure, report
from experiments.word_lm.config import Config
from rnnlab.data.corpus import read_words
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import text
from rnnlab.training.summary import REPORT, best_state, best_step, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    corpus = read_words(config.source, config.words)
    corpus.claim(workdir, config.source.corpus)
    text.describe(workdir, config.network, corpus)
    model = config.network.model(corpus.vocabulary.size)
    outcome = measure.fit(config, workdir, corpus, model)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    epoch = measure.epoch_of(config, corpus)
    curve, best_epoch = measure.read_curve(workdir, epoch), best_step(outcome) // epoch
    summary = once(
        workdir, lambda: measure.summarise(config, corpus, model, curve, best_epoch, best)
    )
    if not workdir.path(REPORT).exists():
        report.write(workdir, summary, curve, corpus, model, best)
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title="Perplexity for each word")
    print(f"Curve, sentences and next words: {workdir.path(REPORT)}")
    return "done"
