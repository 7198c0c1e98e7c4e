"""Trains a network that hears digits, tests it and writes the report."""

from __future__ import annotations

from typing import Any

from experiments.spoken_digits import measure, report, string_report, strings
from experiments.spoken_digits.config import Config
from rnnlab.data.recordings import DIGITS, read_recordings
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Status, Workdir
from rnnlab.trained import listening
from rnnlab.trained.listener import SpeechModel
from rnnlab.trained.transcriber import Transcriber
from rnnlab.training.loop import Outcome
from rnnlab.training.summary import REPORT, best_state, best_step, once, tell_diverged

NAMES = tuple(str(digit) for digit in range(DIGITS))


def run(config: Config, workdir: Workdir) -> Status:
    """Trains, tests and reports; a rerun resumes where it stopped."""
    given = measure.problem(config, read_recordings(config.source))
    alone = config.said == "digit"
    measuring: Any = measure if alone else strings
    kind = "speech" if alone else "transcripts"
    listening.describe(workdir, kind, config.network, config.front, NAMES)
    outcome = measuring.fit(config, workdir, given)
    if outcome.diverged:
        tell_diverged(workdir, outcome)
        return "diverged"
    best = best_state(outcome).params
    summary = once(workdir, lambda: measuring.summarise(config, workdir, given, outcome, best))
    if not workdir.path(REPORT).exists():
        write_report(config, workdir, given, outcome, best, summary)
    title = f"Digits of {config.source.data}" if alone else f"Strings of {config.source.data}"
    if config.source.held_out_speaker:
        title += f" by {config.source.held_out_speaker}, never heard before"
    print_table(list(summary.items()), columns=("what", "value"), title=title)
    print(f"Curve, answers and spectrograms: {workdir.path(REPORT)}")
    return "done"


def write_report(
    config: Config,
    workdir: Workdir,
    given: measure.Problem,
    outcome: Outcome,
    params: Any,
    summary: dict[str, Any],
) -> None:
    """Writes the page of digits or of strings."""
    kept = given.model, params, NAMES, config.front, config.network, {}, best_step(outcome)
    train, test = given.splits.train, given.splits.test
    if config.said == "digit":
        epoch, answers = measure.epoch_of(config, train), measure.answers_of(workdir)
        report.write(workdir, epoch, summary, test, answers, SpeechModel(*kept))
    else:
        epoch, answers = strings.epoch_of(config, train), strings.answers_of(workdir)
        tested = strings.tested(config, given)
        string_report.write(workdir, epoch, summary, tested, answers, Transcriber(*kept))
