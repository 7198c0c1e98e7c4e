"""Files that are written as a whole."""

import contextlib
import os
import pathlib


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
