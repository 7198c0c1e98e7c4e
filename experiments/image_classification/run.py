"""Trains a convolutional network that names digits, tests it and writes the report."""

from __future__ import annotations

from experiments.image_classification import measure, report
from experiments.image_classification.config import Config
from rnnlab.data.images import CLASSES, SIDES, read_images
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import images
from rnnlab.training import image_summary
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    splits = read_images(config.source)
    names = [str(digit) for digit in range(CLASSES)]
    images.describe(workdir, config.network, SIDES[config.source.images], names)
    outcome = measure.fit(config, workdir, splits)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(workdir, lambda: measure.summarise(config, workdir, splits.test, outcome, best))
    if not workdir.path(REPORT).exists():
        answers = image_summary.answers_of(workdir)
        report.write(workdir, config.epoch, summary, splits.test, answers, best)
    title = f"{config.source.images}, {len(config.network.channels)} layers of convolutions"
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title=title)
    print(f"Curve, confusions and filters: {workdir.path(REPORT)}")
    return "done"
