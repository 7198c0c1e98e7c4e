"""Times and trains the networks, and writes the report."""

from __future__ import annotations

from experiments.rnn_vs_transformer import clocks, measure, report, tables
from experiments.rnn_vs_transformer.config import Config
from experiments.rnn_vs_transformer.networks import contenders
from rnnlab.data.corpus import read_characters
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import text
from rnnlab.training.summary import REPORT, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Times, trains and reports; a rerun resumes where it stopped."""
    corpus = read_characters(config.source)
    corpus.claim(workdir, config.source.corpus)
    networks = contenders(config, corpus.vocabulary.size)
    text.describe(workdir, networks[0].network, corpus)
    rows = clocks.timings(config, workdir, networks, corpus.codes("train"))
    updates = measure.same_updates(config, workdir, corpus, networks, rows)
    time = []
    if config.training.same_time:
        time = measure.same_time(config, workdir, corpus, networks, rows)
    for one in (*updates, *time):
        if one.outcome.diverged:
            tell_diverged(workdir, one.outcome)
            return "diverged"
    summary = once(workdir, lambda: measure.summarise(corpus, rows, updates, time))
    if not workdir.path(REPORT).exists():
        report.write(workdir, summary, rows, updates, time)
    print_table(tables.claims(summary, rows), title="What lectures say, and what was measured")
    print_table(tables.losses(summary), title="Losses in nats per character")
    if summary["rows on a busy machine"]:
        print(tables.BUSY.format(summary["rows on a busy machine"]))
    print(f"Curves and slopes: {workdir.path(REPORT)}")
    return "done"
