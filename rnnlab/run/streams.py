"""Standard output and error that no run dies of: closed, full, of few characters, without a reader.

What a run has computed lies in its work directory; what it prints is a courtesy.
"""

import contextlib
import errno
import logging
import os
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from typing import Any

from rnnlab.errors import RunError

#: Parts of the paths of what writes checkpoints.
_BACKGROUND = ("/orbax/", "/tensorstore/", "/asyncio/")
_NAMES = ("stdin", "stdout", "stderr")
#: Error handlers that write every character in some way.
_LENIENT = ("backslashreplace", "replace", "xmlcharrefreplace", "namereplace", "ignore")


class Guarded:
    """A stream whose writing never fails; after the first error it drops what it is given.

    Attributes:
        error: the first error, or None.
    """

    def __init__(self, stream: Any):
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Writes a text, or drops it."""
        self._carefully(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered, or drops it."""
        self._carefully(self._stream.flush)

    def _carefully(self, act: Any) -> None:
        if self.error is None:
            try:
                act()
            except OSError as error:
                self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare() -> None:
    """Gives the process streams where it was started without, and lets them write any character.

    A descriptor that the caller has closed would go to the next file that is opened, into which
    libraries would then write their messages.
    """
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and getattr(stream, "errors", None) not in _LENIENT:
            reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def guarded() -> Iterator[Guarded]:
    """Lets what is inside print without ever failing, and yields its standard output."""
    before = sys.stdout, sys.stderr
    out = Guarded(sys.stdout)
    sys.stdout, sys.stderr = out, Guarded(sys.stderr)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield out
        out.flush()
    finally:
        sys.stdout, sys.stderr = before


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Leaves out the tracebacks that libraries print about their own threads.

    What goes wrong there, such as a checkpoint on a full disk, reaches the main thread too, which
    says it in one line.
    """
    logger = logging.getLogger("absl")
    before = logger.level, threading.excepthook, sys.excepthook
    logger.setLevel(logging.CRITICAL)

    def of_thread(failure: threading.ExceptHookArgs) -> None:
        if not _of_library(failure.exc_traceback):
            before[1](failure)

    def of_callback(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if not _of_library(trace):
            before[2](kind, error, trace)

    threading.excepthook, sys.excepthook = of_thread, of_callback
    try:
        yield
    finally:
        logger.setLevel(before[0])
        threading.excepthook, sys.excepthook = before[1:]


def _of_library(trace: types.TracebackType | None) -> bool:
    """Whether an error comes from where checkpoints are written in the background."""
    files = [frame.filename for frame in traceback.extract_tb(trace)]
    return any(name in file for file in files for name in _BACKGROUND)


def require_written(out: Guarded) -> None:
    """Raises RunError if what was printed is lost; a reader that has stopped reading is no loss."""
    if out.error is not None and out.error.errno not in (errno.EPIPE, errno.EBADF):
        raise RunError(
            f"standard output: {out.error.strerror}; the run has ended and its work directory "
            "holds everything but the printed tables"
        )


def settle() -> None:
    """Writes what is buffered; what cannot be written is dropped, for Python would try again."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
            with contextlib.suppress(OSError):
                stream.flush()
