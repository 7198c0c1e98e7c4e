"""Candidates take turns, and once more where the machine was disturbed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from experiments.benchmark.config import Candidates
from experiments.benchmark.results import DISTURBED, OTHERS, REPEATS
from rnnlab.run.load import Disturbance, Load
from rnnlab.timing import Program, Times, take_turns


class Turns(NamedTuple):
    """What was timed.

    Attributes:
      times: of a call of each candidate.
      failed: why others have none.
      disturbance: what happened on the machine meanwhile.
      repeats: how often all of them were timed again; these are the least disturbed times.
    """

    times: dict[str, Times]
    failed: dict[str, str]
    disturbance: Disturbance
    repeats: int


def quiet_turns(programs: Mapping[str, Program], settings: Candidates) -> Turns:
    """Times programs in turns, and all of them again while something disturbs the machine.

    No time is dropped: of one attempt all count, and the least disturbed attempt is returned.

    Args:
      programs: what is timed, by the name of its candidate.
      settings: how many turns, for how long, and how often again at most.
    """
    count = settings.queued if jax.default_backend() == "gpu" else 1
    calls = {name: _queued(program, count) for name, program in programs.items()}
    attempts: list[Turns] = []
    while not attempts or (attempts[-1].disturbance.reasons and len(attempts) <= settings.repeats):
        load = Load()
        times, failed = take_turns(calls, settings.turns, settings.seconds)
        each = {name: _divided(found, programs[name], count) for name, found in times.items()}
        attempts.append(Turns(each, failed, load.disturbance(), 0))
    best = min(attempts, key=lambda attempt: _weight(attempt.disturbance))
    return best._replace(repeats=len(attempts) - 1)


def _weight(disturbance: Disturbance) -> tuple[int, float]:
    return len(disturbance.reasons), disturbance.others or 0.0


def _queued(program: Program, count: int) -> Callable[[], Any]:
    """A call that starts a program so many times, and waits for the last."""
    start = program.start
    if start is None or count == 1:
        return program.call

    def call() -> Any:
        for _ in range(count - 1):
            start()
        return program.call()

    return call


def _divided(times: Times, program: Program, count: int) -> Times:
    """The times of one of so many calls."""
    if program.start is None:
        return times
    return Times(tuple(seconds / count for seconds in times.seconds))


def disturbance_columns(timed: Turns) -> dict[str, Any]:
    """What tables say of a measurement beside its times."""
    others = timed.disturbance.others
    columns: dict[str, Any] = {
        OTHERS: None if others is None else round(others, 2),
        REPEATS: timed.repeats,
    }
    return columns | ({DISTURBED: timed.disturbance.note} if timed.disturbance.reasons else {})
