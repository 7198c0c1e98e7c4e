"""Trains a network on chorales, tests it, lets it write and writes the report."""

from __future__ import annotations

from experiments.music import measure, report
from experiments.music.config import Config
from rnnlab.data.music import read_music
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import composer
from rnnlab.training.summary import REPORT, best_state, once, tell_diverged


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests, writes and reports; a rerun resumes where it stopped."""
    given = measure.problem(config, read_music(config.source))
    composer.describe(workdir, given.network)
    outcome = measure.fit(config, workdir, given)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(workdir, lambda: measure.summarise(config, workdir, given, outcome, best))
    if not workdir.path(REPORT).exists():
        report.write(workdir, summary, measure.written(workdir))
    title = f"Foreseeing {config.source.data}, in nats for each frame"
    print_table(list(summary.items()), columns=("what", "value"), title=title)
    print(f"Curve, piano rolls and MIDI files: {workdir.path(REPORT)}")
    return "done"
