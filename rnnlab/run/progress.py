"""How far a run is: a bar in a terminal, a plain line every few seconds anywhere else."""

import contextlib
import os
import sys
import time
from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress


class Progress:
    """Progress of `total` units of work, on standard error, within a `with` statement.

    Within the `with` statement of another one it prints nothing: the outer one is of the run.

    Args:
        title: what is being done.
        total: units of work.
        done: units that an earlier run has done.
        interval: seconds between lines where there is no terminal.
    """

    _outermost: "Progress | None" = None

    def __init__(self, title: str, total: int, *, done: int = 0, interval: float = 5.0):
        self._title = title
        self._total = total
        self._done = self._first = done
        self._numbers = ""
        self._interval = interval
        self._bar: RichProgress | None = None

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        if Progress._outermost is not None:
            return self
        Progress._outermost = self
        if _is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb":
            self._bar = bar = _bar()
            self._task = bar.add_task(
                self._title, total=self._total, completed=self._done, numbers=""
            )
            bar.start()
        else:
            self._print()
        return self

    def __exit__(self, *exception: object) -> None:
        if Progress._outermost is not self:
            return
        Progress._outermost = None
        if self._bar is not None:
            self._bar.stop()
        elif self._printed != (self._done, self._numbers):
            self._print()

    def advance(self, count: int = 1, numbers: str = "") -> None:
        """Counts units of work as done.

        Args:
            count: how many.
            numbers: what to show beside the bar, such as "tanh ρ=1.1 log10‖g‖=-3.2".
        """
        self._done += count
        self._numbers = numbers
        if Progress._outermost is not self:
            return
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, numbers=numbers)
        elif time.monotonic() - self._last >= self._interval:
            self._print()

    def _print(self) -> None:
        self._last = time.monotonic()
        self._printed = (self._done, self._numbers)
        elapsed = self._last - self._start
        line = f"{self._title}: {self._done}/{self._total}, {_clock(elapsed)} elapsed"
        if self._first < self._done < self._total:
            left = elapsed * (self._total - self._done) / (self._done - self._first)
            line += f", about {_clock(left)} left"
        line += f": {self._numbers}" if self._numbers else ""
        if sys.stderr is not None:  # a process without one; `print` would take standard output
            with contextlib.suppress(OSError):  # nobody reads it
                print(line, file=sys.stderr, flush=True)


def _bar() -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}", markup=False),
        console=Console(stderr=True),
        # Text that an experiment prints goes above the bar, but into a file or a pipe unchanged.
        redirect_stdout=_is_terminal(sys.stdout),
    )


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
