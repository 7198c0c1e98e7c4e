"""Trains a network that labels frames, tests it beside its baselines and writes the report."""

from __future__ import annotations

from experiments.frame_labelling import measure, report
from experiments.frame_labelling.config import Config
from rnnlab.data.labelled_frames import PHASES, read_frames
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import frame_labeller
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    given = measure.problem(config, read_frames(config.source))
    frame_labeller.describe(workdir, config.network, given.scaling, PHASES)
    outcome = measure.fit(config, workdir, given)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(workdir, lambda: measure.summarise(config, workdir, given, outcome, best))
    if not workdir.path(REPORT).exists():
        report.write(workdir, summary, measure.answers_of(workdir))
    title = f"Labelling the frames of {config.source.data}"
    print_table(list(summary.items()), columns=("what", "value"), title=title)
    print(f"Curve, timelines and confusions: {workdir.path(REPORT)}")
    return "done"
