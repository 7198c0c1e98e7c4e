"""What disturbs a measurement: other processes, other virtual machines, and clocks that fall.

A machine that is busy makes every time longer and none of them comparable; so the load is measured
during the timing itself, and not once before it. On Linux the kernel counts the time for which each
core was busy; what this process has not used itself, others have. Where virtual machines share a
processor, it counts the time for which a core was ready to run and another machine had it: stolen
time. Clocks of the processor are read where the kernel tells them; of a GPU its driver is asked.
"""

from __future__ import annotations

import os
import pathlib
import re
import time
from typing import NamedTuple

from rnnlab.run import gpu_driver

#: Share of the cores that others may take before what was timed is marked.
QUIET = 0.1
#: The kernel counts in hundredths of a second: the load of a shorter time is not known, in seconds.
SHORTEST = 0.3
#: What is said where they took more.
BUSY = "other processes were running"
#: Share of its highest clock below which a processor counts as slowed down.
FULL_CLOCK = 0.9

#: The highest clock of a core that this process has seen, in MHz.
_highest: float = 0.0


class Disturbance(NamedTuple):
    """What happened on the machine while something was timed.

    Attributes:
      others: cores that other processes and machines took, on average; None where unknown.
      reasons: what makes the times doubtful, each in a few words; none where nothing does.
    """

    others: float | None
    reasons: tuple[str, ...]

    @property
    def note(self) -> str:
        """The reasons in one line; empty where there are none."""
        return "; ".join(self.reasons)


class Load:
    """The load of other processes since this was made."""

    def __init__(self) -> None:
        self._start, self._busy, self._own = time.monotonic(), _busy(), time.process_time()
        self._stolen = _stolen()

    def others(self) -> float | None:
        """Cores that other processes took, on average; None if it is not known."""
        elapsed, busy, own = time.monotonic() - self._start, _busy(), time.process_time()
        if elapsed < SHORTEST or busy is None or self._busy is None:
            return None
        return max(0.0, busy - self._busy - (own - self._own)) / elapsed

    def stolen(self) -> float | None:
        """Cores that other virtual machines took of it, on average; None if it is not known."""
        elapsed, stolen = time.monotonic() - self._start, _stolen()
        if elapsed < SHORTEST or stolen is None or self._stolen is None:
            return None
        return (stolen - self._stolen) / elapsed

    def disturbance(self) -> Disturbance:
        """What disturbed the machine since this was made."""
        others, stolen = self.others(), self.stolen()
        reasons = []
        if others is not None and is_busy(others - (stolen or 0)):
            reasons.append(BUSY)
        if is_busy(stolen):
            reasons.append(f"other virtual machines took {stolen:.2f} cores")
        return Disturbance(others, (*reasons, *_fallen_clock(), *gpu_driver.complaints()))


def is_busy(others: float | None) -> bool:
    """Whether others took so many cores that times are not to be trusted."""
    return others is not None and others > QUIET * len(cores())


def cores() -> set[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def clock() -> float | None:
    """MHz of the fastest of those cores, just now; None where the system does not tell."""
    found = []
    for number in cores():
        path = f"/sys/devices/system/cpu/cpu{number}/cpufreq/scaling_cur_freq"
        text = _read(path)
        found += [int(text) / 1000] if text.strip().isdigit() else []
    if not found:
        text = _read("/proc/cpuinfo")
        found = [float(mhz) for mhz in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", text, re.MULTILINE)]
    return max(found, default=None)


def _fallen_clock() -> list[str]:
    """That the processor is slower than it was when this process saw it last, if it is."""
    global _highest
    now = clock()
    if now is None:
        return []
    _highest = max(_highest, now)
    if now >= FULL_CLOCK * _highest:
        return []
    return [f"the processor ran at {now:.0f} of {_highest:.0f} MHz"]


def _busy() -> float | None:
    """Seconds for which those cores have been busy since the machine started; None if unknown."""
    # user, nice, system, [idle, waiting,] interrupts, soft interrupts, other virtual machines
    return _seconds(1, 2, 3, 6, 7, 8)


def _stolen() -> float | None:
    """Seconds for which those cores were kept by other virtual machines; None if unknown."""
    return _seconds(8)


def _seconds(*columns: int) -> float | None:
    """Sums of columns of `/proc/stat` over the cores of this process, in seconds."""
    names = {f"cpu{number}" for number in cores()}
    lines = [line.split() for line in _read("/proc/stat").splitlines()]
    mine = [line for line in lines if line and line[0] in names]
    ticks = sum(int(line[column]) for line in mine for column in columns if column < len(line))
    return ticks / os.sysconf("SC_CLK_TCK") if mine else None


def _read(path: str) -> str:
    """The text of a file; empty where there is none."""
    try:
        return pathlib.Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
