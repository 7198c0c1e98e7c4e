"""The folder of a sweep: the values of its finished grid chunks, shared by all hosts.

`grid.json` says which grid it belongs to. Each grid chunk is a file that is whole or absent, so
that a sweep may be killed at any moment. Hosts meet through these files alone: the collective
operations of JAX give up when one host comes half a minute later than another.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pathlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from rnnlab.errors import RunError, UsageError
from rnnlab.run import reading
from rnnlab.run.workdir import atomic_write
from rnnlab.sweep.grid import Grid
from rnnlab.sweep.grid_chunks import GridChunk, Values

#: Seconds between two looks for what another host is to write.
INTERVAL = 0.2
#: Seconds after which a folder in which the first host has written nothing cannot be shared.
PATIENCE = 60.0


class Folder:
    """The folder of the grid chunks of one grid, cut for a given memory.

    Raises:
      UsageError: it belongs to another grid or another memory.
      RunError: it cannot be made, read or written, or is not shared by all hosts.
    """

    def __init__(self, path: pathlib.Path | str, grid: Grid, memory: float) -> None:
        self.path = pathlib.Path(path)
        settings = json.loads(json.dumps(dataclasses.asdict(grid) | {"memory": memory}))
        with self._explained():
            self.path.mkdir(parents=True, exist_ok=True)
            self._forget_failure()
            self._old_failures = self._failures()
            file = self.path / "grid.json"
            if jax.process_index() == 0 and not file.exists():
                atomic_write(file, json.dumps(settings, indent=2) + "\n")
            self._check_same(settings, self._settings(file))

    def holds(self, grid_chunk: GridChunk) -> bool:
        """Whether the grid chunk is finished."""
        return self._file(grid_chunk).exists()

    def restore(self, grid_chunk: GridChunk, grid: Grid) -> Values | None:
        """Reads the values of a grid chunk; None if it is not there.

        Raises:
          RunError: the file is damaged or cannot be read.
        """
        if not self.holds(grid_chunk):
            return None
        path = self._file(grid_chunk)
        again = "delete it, and the same command measures it again"
        with self._explained():
            contents = io.BytesIO(path.read_bytes())
        try:
            with np.load(contents, allow_pickle=False) as file:
                values = {name: file[name] for name in file.files}
        except Exception as error:  # what a damaged archive raises depends on where it is damaged
            raise reading.unusable(path, error, again) from error
        count = grid_chunk.size(grid)
        if "state" not in values or any(len(value) != count for value in values.values()):
            raise RunError(f"{path}: expected {count} points; {again}")
        return values

    def store(self, grid_chunk: GridChunk, values: Values) -> None:
        """Writes the values of a grid_chunk.

        Raises:
          RunError: the disk is full, or the folder cannot be written.
        """
        buffer = io.BytesIO()
        np.savez(buffer, **values)  # type: ignore[arg-type]
        with self._explained():
            atomic_write(self._file(grid_chunk), buffer.getvalue())

    def wait(self, grid_chunk: GridChunk, grid: Grid) -> Values:
        """The values of a grid chunk that another host computes, as soon as they are there.

        Raises:
          RunError: another host has failed.
        """
        while (values := self.restore(grid_chunk, grid)) is None:
            with self._explained():
                new = self._failures().items() - self._old_failures.items()
            if new:
                host, note = min(new)
                reason = note.partition(" ")[2]
                raise RunError(
                    f"{host} has failed ({reason}). Fix this and rerun the same command on "
                    "all hosts to resume."
                )
            time.sleep(INTERVAL)
        return values

    @contextlib.contextmanager
    def telling_hosts(self) -> Iterator[None]:
        """Leaves a note for the hosts that wait for this one, should it fail."""
        try:
            yield
        except Exception as error:
            if jax.process_count() > 1:
                reason = str(error).partition("\n")[0] or type(error).__name__
                with contextlib.suppress(OSError):  # the disk may be what has failed
                    atomic_write(self._note(), f"{uuid.uuid4()} {reason}")
            raise

    def _file(self, grid_chunk: GridChunk) -> pathlib.Path:
        return self.path / f"{grid_chunk.name}.npz"

    def _note(self) -> pathlib.Path:
        return self.path / f"host-{jax.process_index()}.failed"

    def _forget_failure(self) -> None:
        self._note().unlink(missing_ok=True)

    def _failures(self) -> dict[str, str]:
        """The notes of hosts that have failed, each with a mark that makes it unlike any other."""
        return {file.stem: file.read_text() for file in self.path.glob("host-*.failed")}

    def _settings(self, file: pathlib.Path) -> dict[str, Any]:
        start = time.monotonic()
        while not file.exists():
            if time.monotonic() - start > PATIENCE:
                raise RunError(
                    f"{file}: the first host has not written it; all hosts must share the folder"
                )
            time.sleep(INTERVAL)
        try:
            return dict(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise RunError(
                f"{file}: is damaged; delete the folder {self.path} to start again, or choose "
                "another folder"
            ) from error

    def _check_same(self, here: dict[str, Any], there: dict[str, Any]) -> None:
        for name in here | there:
            if here.get(name) != there.get(name):
                raise UsageError(
                    f"folder={str(self.path)!r}: holds grid chunks of another grid ({name} is "
                    f"{there.get(name, 'absent')} there and {here.get(name, 'absent')} here); "
                    "choose another folder"
                )

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns an error of the disk into one line."""
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{error.filename or self.path}: {error.strerror}. Fix this and rerun the same "
                "command to resume."
            ) from error
