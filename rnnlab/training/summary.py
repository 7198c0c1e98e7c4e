"""The end of an experiment that trains one network: its summary, or that it diverged."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from rnnlab.run.workdir import Workdir
from rnnlab.training.loop import Outcome
from rnnlab.training.times import TIMES
from rnnlab.training.update import TrainState

#: What a work directory keeps of the finished run.
SUMMARY, REPORT = "summary.json", "report.html"


def best_step(outcome: Outcome) -> int:
    """The training step of `best_state`; 0 where no evaluation beat the one before training."""
    return outcome.step if outcome.best is None else outcome.best


def best_state(outcome: Outcome) -> TrainState:
    """The state of the best checkpoint, or the last one where nothing was measured."""
    return outcome.state if outcome.best is None else outcome.restore(outcome.best)


def tell_diverged(workdir: Workdir, outcome: Outcome) -> None:
    """Reports on the terminal and in the record at which training step a run diverged."""
    message = f"step {int(outcome.diverged)}: the loss, its gradient or the parameters overflow"
    workdir.status["message"] = message
    print(f"diverged at {message}; try a smaller --config.learning_rate or --config.clip_norm")


def once(workdir: Workdir, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The summary in the work directory; made, with the times, if there is none yet."""
    path = workdir.path(SUMMARY)
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    times_path = workdir.path(TIMES)
    times = json.loads(times_path.read_text("utf-8")) if times_path.exists() else {}
    summary = make() | {
        "seconds of training": times.get("total"),
        "share of time outside the program": times.get("share_outside"),
    }
    workdir.write(SUMMARY, json.dumps(summary, indent=2) + "\n")
    return summary


def finite(value: float) -> float | None:
    """The number as JSON can represent it: None if it is not finite."""
    return value if math.isfinite(value) else None
