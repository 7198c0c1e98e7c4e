"""Standard output and error that no run dies of: closed, full, of few characters, without a reader.

What a run has computed lies in its work directory; what it prints is a courtesy.
"""

import contextlib
import errno
import logging
import os
import pathlib
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

from rnnlab.errors import RunError

#: Packages that write checkpoints and events in the background, or when the process ends.
_BACKGROUND = {"orbax", "tensorstore", "asyncio", "tensorboardX"}
#: Loggers of what writes checkpoints.
_LOGGERS = ("absl", "asyncio")
#: Where Python tells of errors that nobody catches: of the main thread, of other threads, and of
#: callbacks from compiled code. Each with what finds the traceback in what the hook is given.
_HOOKS = (
    (sys, "excepthook", lambda kind, error, trace: trace),
    (threading, "excepthook", lambda failure: failure.exc_traceback),
    (sys, "unraisablehook", lambda failure: failure.exc_traceback),
)
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


def quiet_libraries() -> None:
    """Leaves out what libraries print about their own threads, for the rest of the process.

    What goes wrong there, such as a checkpoint on a full disk, reaches the main thread too, which
    says it in one line. Their threads may end after that line, so that nothing is set back.
    """
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for module, name, trace in _HOOKS:
        hook = getattr(module, name)
        if not hasattr(hook, "quiet"):
            setattr(module, name, _quiet(hook, trace))


def _quiet(hook: Callable[..., object], trace: Callable[..., Any]) -> Callable[..., None]:
    """A hook that leaves out errors of libraries; `trace` finds the traceback in its arguments."""

    def quiet(*arguments: Any) -> None:
        if not _of_library(trace(*arguments)):
            hook(*arguments)

    quiet.quiet = True  # pyright: ignore[reportFunctionMemberAccess]
    return quiet


def _of_library(trace: types.TracebackType | None) -> bool:
    """Whether an error comes from a library that writes in the background."""
    frames = traceback.extract_tb(trace)
    return any(_BACKGROUND & {*pathlib.PurePath(frame.filename).parts} for frame in frames)


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
