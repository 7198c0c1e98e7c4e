"""How a training run spends its time, in seconds: `times.json`.

start          to open the log
program        in the compiled program
compile        to compile it
evaluate       in evaluations
checkpoint     with checkpoints
data           waiting for data
rest           everything else
total          all of these
share_outside  what training waited for data and the rest, of that and the program
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

from rnnlab.run.workdir import Workdir

TIMES = "times.json"
SPENT = ("start", "program", "compile", "evaluate", "checkpoint", "data")


class Times:
    """The sums of seconds of a run, over all its starts.

    Args:
        workdir: where they are written.
    """

    def __init__(self, workdir: Workdir):
        self._workdir = workdir
        self._spent: dict[str, float] = dict.fromkeys(SPENT, 0.0)
        self._earlier, self._began = 0.0, time.monotonic()

    def begin(self) -> None:
        """The total counts from now."""
        self._began = time.monotonic()

    def take_up(self) -> None:
        """Adds the seconds that a stopped run had spent until its last checkpoint."""
        path = self._workdir.path(TIMES)
        if path.exists():
            spent = json.loads(path.read_text(encoding="utf-8"))
            self._spent = {name: spent[name] for name in SPENT}
            self._earlier = spent["total"]

    def add(self, what: str, seconds: float) -> None:
        """Adds seconds to one of `SPENT`."""
        self._spent[what] += seconds

    @contextlib.contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Adds the seconds of a `with` statement."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.add(what, time.monotonic() - start)

    def write(self) -> None:
        """Writes all sums."""
        total = self._earlier + time.monotonic() - self._began
        rest = total - sum(self._spent.values())
        waited = rest + self._spent["data"]
        share = waited / max(waited + self._spent["program"], 1e-9)
        sums = self._spent | {"total": total, "rest": rest, "share_outside": share}
        rounded = {name: round(value, 4) for name, value in sums.items()}
        self._workdir.write(TIMES, json.dumps(rounded, indent=2) + "\n")
