"""Trains a network to add, tests it and writes the report."""

from __future__ import annotations

from experiments.addition import measure, report
from experiments.addition.config import Config
from rnnlab.data import sums
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import adder
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    adder.describe(workdir, config.network, config.digits, config.reverse)
    outcome = measure.fit(config, workdir)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(workdir, lambda: measure.summarise(config, workdir, outcome, best))
    if not workdir.path(REPORT).exists():
        numbers = measure.held_out(config, sums.TEST)
        answers, right = measure.answers_of(workdir, numbers)
        report.write(workdir, config, summary, numbers, answers, right)
    order = "reversed" if config.reverse else "as written"
    title = f"Sums of up to {config.digits} digits, {order}, {config.network.hand_over}"
    rows = [(name, value) for name, value in summary.items() if value is not None]
    print_table(rows, columns=("what", "value"), title=title)
    print(f"Curve, digits and wrong answers: {workdir.path(REPORT)}")
    return "done"
