"""What experiments that train one network share: the summary, errors, divergence."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.training.loop import Outcome
from rnnlab.training.times import TIMES

#: What a work directory keeps of the finished run.
SUMMARY, REPORT = "summary.json", "report.html"


def with_setting(config: Any, **settings: Mapping[str, Any]) -> Any:
    """The configuration with the values of the setting that it asks for by the flag of that name.

    Fields that hold another value than their default keep it.
    """
    for flag, values in settings.items():
        if getattr(config, flag):
            default = type(config)()
            free = {k: v for k, v in values.items() if getattr(config, k) == getattr(default, k)}
            return dataclasses.replace(config, **{flag: False}, **free)
    return config


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
