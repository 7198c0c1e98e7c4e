"""Errors of reading, told from errors about what was read."""

import errno
import os
import pathlib

import pytest

from rnnlab.run import reading


def chained(outer, inner):
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        OSError(errno.EIO, os.strerror(errno.EIO)),
        PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
        MemoryError(),
        ValueError('RESOURCE_EXHAUSTED: Error opening "x": Too many open files'),
        RuntimeError("can't start new thread"),
        chained(ValueError("cannot restore"), OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))),
        ExceptionGroup("two", [KeyError("x"), MemoryError()]),
    ],
)
def test_a_read_that_failed(error):
    assert reading.failure(error)
    assert "cannot be read" in str(reading.unusable(pathlib.Path("x"), error, "delete it"))


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        OSError("Unable to open file (truncated file)"),
        ValueError("DATA_LOSS: CRC-32C checksum verification failed"),
        KeyError("state"),
    ],
)
def test_what_was_read_is_damaged(error):
    assert reading.failure(error) is None
    assert "is damaged" in str(reading.unusable(pathlib.Path("x"), error, "delete it"))


def test_a_folder_is_read_from_end_to_end(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 3_000_000)
    assert reading.unreadable(tmp_path) is None
    assert reading.unreadable(tmp_path / "none") is None
    opened = open

    def failing(path, *args):
        if str(path).endswith("file"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(path, *args)

    monkeypatch.setattr("builtins.open", failing)
    assert reading.unreadable(tmp_path) == os.strerror(errno.EIO)
