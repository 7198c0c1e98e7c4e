"""Ctrl-C and SIGTERM are deferred until a training run has saved a checkpoint."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Deferred:
    """A signal that has arrived and has not been handled yet."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._came: tuple[int, FrameType | None] | None = None

    @property
    def came(self) -> bool:
        """Whether a signal has arrived."""
        return self._came is not None

    def obey(self) -> None:
        """Handles the signal as if it arrived now: usually raises KeyboardInterrupt."""
        if self._came is not None:
            number, frame = self._came
            self._came = None
            self._do(number, frame)

    def _do(self, number: int, frame: FrameType | None) -> None:
        before = self._before[number]
        if callable(before):
            before(number, frame)
        elif before == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._came is not None:  # the second one does not wait
            self._do(number, frame)
        self._came = (number, frame)


@contextlib.contextmanager
def deferred() -> Iterator[Deferred]:
    """Within the `with` statement a first signal only sets `came`; a second one acts immediately.

    In other threads than the main one, where Python forbids handlers, nothing changes.
    """
    waiting = Deferred()
    if threading.current_thread() is not threading.main_thread():
        yield waiting
        return
    for number in NUMBERS:
        waiting._before[number] = signal.signal(number, waiting._handle)
    try:
        yield waiting
    finally:
        for number, before in waiting._before.items():
            signal.signal(number, before)
