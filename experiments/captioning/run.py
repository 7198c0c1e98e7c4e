"""Trains a network that writes about images, tests it and writes the report."""

from __future__ import annotations

from experiments.captioning import measure, report
from experiments.captioning.config import Config
from rnnlab.data.captions import Captioned, read_captions
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import captioner
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    data = read_captions(config.source)
    captioner.describe(
        workdir,
        config.network,
        data.vocabulary,
        data.shape,
        data.longest,
        config.writing.beams,
        config.writing.penalty,
    )
    without = None
    if isinstance(data.train, Captioned):
        without = measure.fit(measure.blind(config), workdir, data, measure.BLIND)
    outcome = measure.fit(config, workdir, data)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(
        workdir, lambda: measure.summarise(config, workdir, data, outcome, best, without)
    )
    if not workdir.path(REPORT).exists():
        report.write(workdir, config, summary, data, best)
    title = f"{config.source.captions}, {config.network.hand_over}"
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title=title)
    print(f"Curve, captions and attention: {workdir.path(REPORT)}")
    return "done"
