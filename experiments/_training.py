"""What experiments that train one network share: the summary, errors, divergence."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from rnnlab.errors import UsageError
from rnnlab.training.loop import TIMES, Outcome
from rnnlab.workdir import Workdir

#: What a work directory keeps of the finished run.
SUMMARY, REPORT = "summary.json", "report.html"


@contextlib.contextmanager
def renamed(name: str, flag: str) -> Iterator[None]:
    """An error of the library about its argument `name` becomes one about a field `flag`."""
    try:
        yield
    except UsageError as error:
        raise UsageError(str(error).replace(f"{name}=", f"{flag}=")) from error


def tell_diverged(outcome: Outcome) -> None:
    """Tells the user what a run that diverged can try."""
    print(
        f"diverged at step {int(outcome.diverged)}: the loss or its gradient is not finite; "
        "try a smaller --config.learning_rate or --config.clip_norm"
    )


def once(workdir: Workdir, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The summary that a work directory keeps; made, with the times, where there is none."""
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
    """The number as JSON can say it: None where it is not finite."""
    return value if math.isfinite(value) else None
