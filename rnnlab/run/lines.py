r"""Lines of text from files and standard input, whatever their bytes.

Lines end with `\n`, `\r\n` or `\r`, and a byte order mark at the start is left out. Bytes that
are not UTF-8 are read as U+FFFD.
"""

import contextlib
import io
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

from rnnlab.errors import UsageError

#: Bytes that are read at a time, at most.
CHUNK = 1 << 16
MARK = "\ufeff".encode()


def opened(name: str) -> contextlib.AbstractContextManager[Any]:
    """The bytes of a file, or of standard input for -.

    Raises:
        UsageError: there is no such file, or it must not be read.
    """
    if name == "-":
        return contextlib.nullcontext(sys.stdin.buffer)
    try:
        return open(os.path.expanduser(name), "rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise UsageError(f"--input={name}: {error.strerror}") from error


def batches(stream: io.BufferedReader, size: int, where: str) -> Iterator[list[str]]:
    """The lines of a stream in order, up to `size` of those that have come already at a time.

    Args:
        stream: of bytes.
        size: lines of a batch, at most.
        where: what a warning calls the stream; there is one, where bytes are not UTF-8.
    """
    warned = False
    for raw in _raw_lines(stream):
        for start in range(0, len(raw), size):
            batch = [_text(line) for line in raw[start : start + size]]
            if not warned and not all(valid for _, valid in batch):
                warned = True
                print(f"warning: {where}: bytes that are not UTF-8 are read as �", file=sys.stderr)
            yield [text for text, _ in batch]


def first(given: str) -> str:
    """The first line of a file, or of standard input for -, or a text that names no file.

    Raises:
        UsageError: it names a folder.
    """
    if given == "-":
        with opened(given) as stream:
            return next(batches(stream, 1, "--input=-"), [""])[0]
    folder = False
    with contextlib.suppress(OSError, ValueError):  # a text may be no name of a file at all
        path = pathlib.Path(os.path.expanduser(given))
        folder = path.is_dir()
        if path.is_file():
            with path.open("rb") as stream:
                return next(batches(stream, 1, f"--input={given}"), [""])[0]
    if folder:
        raise UsageError(f"--input={given}: is a directory")
    return given


def _raw_lines(stream: io.BufferedReader) -> Iterator[list[bytes]]:
    """The complete lines of each chunk as it comes, with their ends."""
    rest, start = b"", True
    while chunk := stream.read1(CHUNK):
        lines = (rest + chunk).splitlines(keepends=True)
        # The last line may go on, and `\r` may be half of an end.
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        if start and lines:
            lines[0], start = lines[0].removeprefix(MARK), False
        if lines:
            yield lines
    if rest:
        yield [rest.removeprefix(MARK) if start else rest]


def _text(raw: bytes) -> tuple[str, bool]:
    """A line without its end, and whether it was UTF-8."""
    raw = raw.rstrip(b"\r\n")
    try:
        return raw.decode(), True
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), False
