"""Tells a file that could not be read from one that was read and is damaged.

A process that is out of descriptors or of memory, a disk that fails, a permission that is missing:
they say nothing about what a file holds. Nothing may be called damaged or moved for them.
"""

import errno
import os
import pathlib
from collections.abc import Iterator

from rnnlab.errors import RunError

#: Errors of the system about reading. A file that is not there is damage to what should hold it.
_NUMBERS = (
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.ENOBUFS),
    *(errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV),
    *(errno.EBUSY, errno.ENOTCONN, errno.ENXIO),
)
#: The same where a library passes the error on as text.
_WORDS = (
    *map(os.strerror, _NUMBERS),
    "RESOURCE_EXHAUSTED",
    "PERMISSION_DENIED",
    "UNAVAILABLE",
    "bad_alloc",
    "can't start new thread",
)
_BLOCK = 2**20


def failure(error: BaseException) -> str | None:
    """Why nothing could be read, in a few words; None if the error is about what was read."""
    for each in _chain(error):
        if isinstance(each, MemoryError):
            return "out of memory"
        if isinstance(each, OSError) and each.errno in _NUMBERS:
            return os.strerror(each.errno)
        text = str(each)
        if not isinstance(each, OSError) and any(word in text for word in _WORDS):
            return first_line(each)
    return None


def unreadable(folder: pathlib.Path) -> str | None:
    """Why a file of a folder cannot be read from end to end; None if all can be, or are not there.

    For errors of libraries that do not say what has happened.
    """
    try:
        for root, _, names in os.walk(folder, onerror=_raise):
            for name in names:
                with open(os.path.join(root, name), "rb") as file:
                    while file.read(_BLOCK):
                        pass
    except FileNotFoundError:
        return None
    except (OSError, MemoryError) as error:
        return failure(error) or first_line(error)
    return None


def unusable(path: pathlib.Path, error: BaseException, way_out: str) -> RunError:
    """The error to raise where a library could make nothing of a file.

    Args:
        path: the file.
        error: what the library raised.
        way_out: what to do where the file is damaged, such as "delete it".
    """
    reason = failure(error)
    if reason:
        return RunError(f"{path}: cannot be read ({reason}). Fix this and rerun the same command.")
    return RunError(f"{path}: is damaged ({type(error).__name__}); {way_out}")


def first_line(error: BaseException) -> str:
    """The first line of an error, in at most 120 characters; its type where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, those that it groups, and those that led to it."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += getattr(each, "exceptions", ())
        waiting += [one for one in (each.__cause__, each.__context__) if one is not None]


def _raise(error: OSError) -> None:
    raise error
