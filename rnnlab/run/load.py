"""What other processes do meanwhile: how many cores they took while something was timed.

A machine that is busy makes every time longer and none of them comparable; so the load is measured
during the timing itself, and not once before it. On Linux the kernel counts the time for which each
core was busy; what this process has not used itself, others have.
"""

from __future__ import annotations

import os
import time

#: Share of the cores that others may take before what was timed is marked.
QUIET = 0.1
#: The kernel counts in hundredths of a second: the load of a shorter time is not known, in seconds.
SHORTEST = 0.3


class Load:
    """The load of other processes since this was made."""

    def __init__(self) -> None:
        self._start, self._busy, self._own = time.monotonic(), _busy(), time.process_time()

    def others(self) -> float | None:
        """Cores that other processes took, on average; None if it is not known."""
        elapsed, busy, own = time.monotonic() - self._start, _busy(), time.process_time()
        if elapsed < SHORTEST or busy is None or self._busy is None:
            return None
        return max(0.0, busy - self._busy - (own - self._own)) / elapsed


def is_busy(others: float | None) -> bool:
    """Whether others took so many cores that times are not to be trusted."""
    return others is not None and others > QUIET * len(cores())


def cores() -> set[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _busy() -> float | None:
    """Seconds for which those cores have been busy since the machine started; None if unknown."""
    names = {f"cpu{number}" for number in cores()}
    try:
        with open("/proc/stat", encoding="ascii") as file:
            lines = [line.split() for line in file if line.partition(" ")[0] in names]
    except OSError:
        return None
    # user, nice, system, [idle, waiting,] interrupts, soft interrupts, other virtual machines
    ticks = sum(sum(map(int, line[1:4] + line[6:9])) for line in lines)
    return ticks / os.sysconf("SC_CLK_TCK") if lines else None
