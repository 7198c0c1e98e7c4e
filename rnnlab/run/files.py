"""Files that are written as a whole."""

import contextlib
import os
import pathlib

from rnnlab.errors import UsageError


def expanded(path: str | os.PathLike[str], argument: str = "path") -> pathlib.Path:
    """A path with `~` expanded, so that no folder of that name is made.

    Raises:
        UsageError: there is no such user; the error names the argument.
    """
    home = os.path.expanduser(path)
    if str(home).startswith("~"):
        first = pathlib.Path(home).parts[0]
        raise UsageError(f"{argument}={path}: there is no user {first}; write ./{path} for a file")
    return pathlib.Path(home)


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> pathlib.Path:
    """Writes a file so that it holds the old or the new contents at every moment.

    Raises:
        OSError: if the disk is full or the place cannot be written; the old file is untouched.
    """
    path = pathlib.Path(path)
    draft = path.with_name(f".{path.name}.tmp")
    try:
        with open(draft, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk does not say where
        raise
    return path
