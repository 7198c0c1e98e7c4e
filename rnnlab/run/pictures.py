"""The formats in which pictures are written: PNG, and others beside it where they are asked for."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from rnnlab.errors import UsageError

#: The formats, each with what would differ from one file to the next, and is left out.
FORMATS: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}
_also: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("_also", default=())


@contextlib.contextmanager
def also_as(*formats: str) -> Iterator[None]:
    """Within a `with` statement, `plots.save` writes each picture in these formats too.

    Raises:
        UsageError: a format that is not in `FORMATS`.
    """
    for name in formats:
        check_format(f"formats={name!r}", name)
    token = _also.set(formats)
    try:
        yield
    finally:
        _also.reset(token)


def also() -> tuple[str, ...]:
    """The formats that are asked for."""
    return _also.get()


def check_format(where: str, name: str) -> str:
    """The name of a format; UsageError unless it is in `FORMATS`."""
    if name not in FORMATS:
        raise UsageError(f"{where}: pictures are written as {', '.join(FORMATS)}")
    return name
