"""What `char_lm` and `word_lm` share besides the corpus: windows, the summary, errors."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnnlab.data.pipelines import Feed, Stream, stream
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


def windows(codes: np.ndarray, config: Any) -> tuple[Feed, int]:
    """The windows of `config.length` steps at `config.batch` places, and how many an epoch has.

    Raises:
        UsageError: the text is too short for one.
    """
    with renamed("steps", "length"):
        count = len(Stream(codes, config.batch, config.length))
    return Feed(stream(codes, config.batch, config.length)), count


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
