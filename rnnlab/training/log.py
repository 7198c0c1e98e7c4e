"""The log of a training run: `metrics.jsonl`, `clock.jsonl`, and the loggers of the run.

`metrics.jsonl` holds a row for each dispatch and each evaluation, and no times, so that an
interrupted run ends with the same file, byte for byte. `clock.jsonl` says of each of its rows when
it was written:

    step, group   of the row
    seconds       of training until then, over all starts of the run
    time          of day, UTC

`rnnlab.run.results.metrics` reads both as one table. Loggers (`rnnlab.run.loggers`) get the same
rows and the speed of training.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnlab import hosts
from rnnlab.arrays import Float, Int
from rnnlab.run import loggers
from rnnlab.run.loggers import Logger
from rnnlab.run.workdir import CLOCK, METRICS, Workdir

#: Rows over whose mean a curve is drawn, at most.
SMOOTH = 20


class Log:
    """The rows of a run, each with the number of training steps made.

    Args:
        workdir: where to write, and which loggers to tell.
        text: the rows up to the checkpoint that training resumes from; later ones are dropped.
        step: the training step of that checkpoint.
    """

    def __init__(self, workdir: Workdir, text: str = "", step: int = 0):
        self._path = workdir.write(METRICS, text)
        self._lines = text.splitlines()
        self._clock = Clock(workdir, len(self._lines))
        self._loggers = Loggers(workdir, step)

    def write(self, step: int, group: str, values: dict[str, Any]) -> None:
        """Appends a row.

        Args:
            step: training steps made.
            group: what the row is about, such as "train".
            values: numbers, or arrays of them for the members of a population.
        """
        row = {"step": step, group: {name: _as_json(value) for name, value in values.items()}}
        self._lines.append(json.dumps(row))
        _append(self._path, self._lines[-1])
        self._clock.write(step, group)
        self.event(step, group, values)

    def event(self, step: int, group: str, values: dict[str, Any]) -> None:
        """Tells the loggers only, what an interrupted run would not repeat."""
        self._loggers.write(step, group, values)

    def open(self) -> None:
        """Opens the loggers, unless they are open; the import of their libraries takes a while."""
        self._loggers.open()

    @property
    def text(self) -> str:
        """All rows so far."""
        return "".join(line + "\n" for line in self._lines)

    def close(self) -> None:
        """Closes the loggers."""
        self._loggers.close()


class Clock:
    """Writes down when each row was written.

    Args:
        workdir: where to write.
        rows: how many rows there are, which a run that resumes has written before.
    """

    def __init__(self, workdir: Workdir, rows: int):
        path = workdir.path(CLOCK)
        lines = path.read_text("utf-8").splitlines()[:rows] if rows and path.exists() else []
        self._path = workdir.write(CLOCK, "".join(line + "\n" for line in lines))
        self._start = time.monotonic() - (_seconds(lines[-1]) if lines else 0.0)

    def write(self, step: int, group: str) -> None:
        """Writes down that a row is written now."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        seconds = round(time.monotonic() - self._start, 3)
        row = {"step": step, "group": group, "seconds": seconds, "time": now}
        _append(self._path, json.dumps(row))


class Loggers:
    """The loggers of a run, on the first host; one that fails is left out from then on.

    Args:
        workdir: names them.
        step: the training step that the run continues from.
    """

    def __init__(self, workdir: Workdir, step: int):
        self._workdir, self._step = workdir, step
        self._open: dict[str, Logger] | None = None

    def open(self) -> None:
        """Makes them, unless they have been made."""
        if self._open is not None:
            return
        self._open = {}
        for named in self._workdir.loggers if hosts.first() else ():
            make = loggers.by_name(named) if isinstance(named, str) else named
            name = named if isinstance(named, str) else named.__name__
            made = self._tried(name, lambda make=make: make(self._workdir, self._step))
            if made is not None:
                self._open[name] = made

    def write(self, step: int, group: str, values: dict[str, Any]) -> None:
        """Tells all of them."""
        self.open()
        assert self._open is not None
        for name, logger in list(self._open.items()):
            self._tried(name, lambda logger=logger: logger.write(step, group, values))

    def close(self) -> None:
        """Ends all of them."""
        for name, logger in list((self._open or {}).items()):
            self._tried(name, logger.close)

    def _tried(self, name: str, call: Callable[[], Any]) -> Any:
        """What the call returns; where it fails, the logger is left out and the run goes on."""
        try:
            return call()
        except Exception as error:
            failed = (self._open or {}).pop(name, None)
            with contextlib.suppress(Exception):
                if failed is not None:
                    failed.close()
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            line = f"--loggers={name}: failed and is left out, training goes on ({reason})"
            with contextlib.suppress(OSError):  # nobody reads it
                print(line, file=sys.stderr)
            return None


def _seconds(line: str) -> float:
    """The seconds in a line of the clock; 0 where a power failure has left half a line."""
    try:
        return float(json.loads(line)["seconds"])
    except (ValueError, LookupError, TypeError):
        return 0.0


def read(text: str, group: str) -> list[dict[str, Any]]:
    """The rows of a group in the text of `metrics.jsonl`, with their steps as `step`."""
    rows = [json.loads(line) for line in text.splitlines()]
    return [{"step": row["step"], **row[group]} for row in rows if group in row]


def smoothed(
    rows: list[dict[str, Any]], name: str = "loss"
) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """A number as it is drawn: steps, and means over up to `SMOOTH` rows that end there.

    Of few rows these are means over a tenth of them, so that a curve is left.
    """
    steps = np.array([row["step"] for row in rows], int)
    values = np.array([row[name] for row in rows], float)
    size = max(min(SMOOTH, len(rows) // 10), 1)
    return steps[size - 1 :], np.convolve(values, np.ones(size) / size, mode="valid")


def _append(path: pathlib.Path, line: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def _as_json(value: Any) -> Any:
    """A number, or a list of them; null for what is not finite, which JSON cannot represent."""
    array = np.asarray(value)
    if array.ndim:
        return [_as_json(element) for element in array]
    number = array.item()
    return number if not isinstance(number, float) or math.isfinite(number) else None
