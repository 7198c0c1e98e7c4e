"""Trains a network that hears digits, tests it beside baselines and writes the report."""

from __future__ import annotations

from experiments.spoken_digits import measure, report
from experiments.spoken_digits.config import Config
from rnnlab.data.recordings import DIGITS, read_recordings
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import listener
from rnnlab.training.summary import REPORT, best_state, best_step, once, tell_diverged

NAMES = tuple(str(digit) for digit in range(DIGITS))


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    given = measure.problem(config, read_recordings(config.source))
    listener.describe(workdir, config.network, config.front, NAMES)
    outcome = measure.fit(config, workdir, given)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(workdir, lambda: measure.summarise(config, workdir, given, outcome, best))
    if not workdir.path(REPORT).exists():
        step = best_step(outcome)
        model = listener.SpeechModel(
            given.model, best, NAMES, config.front, config.network, {}, step
        )
        epoch, answers = measure.epoch_of(config, given.splits.train), measure.answers_of(workdir)
        report.write(workdir, epoch, summary, given.splits.test, answers, model)
    title = f"Digits of {config.source.data}"
    if config.source.held_out_speaker:
        title += f" by {config.source.held_out_speaker}, never heard before"
    print_table(list(summary.items()), columns=("what", "value"), title=title)
    print(f"Curve, confusions and spectrograms: {workdir.path(REPORT)}")
    return "done"
