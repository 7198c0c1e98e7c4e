"""Trains a network that translates, tests it and writes the report."""

from __future__ import annotations

from experiments.translation import measure, report
from experiments.translation.config import Config
from rnnlab.data import pairs
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import translator
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    splits = pairs.read_pairs(config.source)
    pairs.claim(workdir, splits, config.source.pairs)
    coders = measure.coders_of(config, splits["train"])
    writing = config.writing
    translator.describe(workdir, config.network, coders, writing.beams, writing.penalty)
    model = measure.model_of(config, coders)
    rows = measure.rows_of(config, measure.coded(coders, splits["train"]))
    validation = measure.coded(coders, splits["validation"])
    outcome = measure.fit(config, workdir, model, rows, validation)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(
        workdir,
        lambda: measure.summarise(config, workdir, model, coders, splits, rows, outcome, best),
    )
    if not workdir.path(REPORT).exists():
        report.write(workdir, rows.epoch, summary, model, best, coders)
    names = config.source.source_language, config.source.target_language
    title = f"{' to '.join(names)}, {config.network.hand_over}"
    shown = [(name, value) for name, value in summary.items() if value is not None]
    print_table(shown, columns=("what", "value"), title=title)
    print(f"Curve, attention, lengths and adjoints: {workdir.path(REPORT)}")
    return "done"
