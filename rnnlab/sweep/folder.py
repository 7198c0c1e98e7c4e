"""The folder of a sweep: the values of its finished grid chunks, shared by all hosts.

Each grid chunk is a file that is whole or absent, so that a sweep may be killed at any moment. It
says itself which points it holds, so that a larger grid takes over all points that it shares with
an earlier one. `grid.json` holds what all points have in common, the lengths for example. Hosts
meet through these files alone: the collective operations of JAX give up when one host comes half a
minute later than another.
"""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnlab import precision
from rnnlab.errors import RunError, UsageError
from rnnlab.run import reading
from rnnlab.run.files import atomic_write, expanded
from rnnlab.sweep.grid import Grid, Point
from rnnlab.sweep.grid_chunks import GridChunk, Values

#: Seconds between two looks for what another host is to write.
INTERVAL = 0.2
#: Seconds after which a folder in which the first host has written nothing cannot be shared.
PATIENCE = 60.0


#: The file of what the points of one folder have in common, and the fields of the grid in it.
GRID = "grid.json"
COMMON = ("scale", "lengths", "batch", "features", "dtype")


class Kept(NamedTuple):
    """The contents of a file: points of one program and what was measured of them.

    Attributes:
      key: tells the program from others, as `GridChunk.key` does.
      points: the points.
      values: what was measured, each `[points, ...]`.
    """

    key: str
    points: tuple[Point, ...]
    values: Values


class Folder:
    """The folder of the grid chunks of grids that differ in nothing but their points.

    Raises:
      UsageError: it belongs to grids of another kind, or to another memory.
      RunError: it cannot be made, read or written, or is not shared by all hosts.
    """

    def __init__(self, path: pathlib.Path | str, grid: Grid, memory: float) -> None:
        self.path = expanded(path, "folder")
        self._seen: set[str] = set()
        fields = grid.settings() | {"lengths": grid.sorted_lengths}
        common = {name: fields[name] for name in COMMON}
        with precision.products():
            common |= {"memory": memory, "precision": precision.in_use()}
        self._common = json.loads(json.dumps(common))
        with self._explained():
            self.path.mkdir(parents=True, exist_ok=True)
            self._forget_failure()
            self._old_failures = self._failures()
            file = self.path / GRID
            if jax.process_index() == 0 and not file.exists():
                atomic_write(file, json.dumps(self._common, indent=2) + "\n")
            self._check_same("folder", self.path)

    def new(self) -> Iterator[Kept]:
        """The contents of all files that are there and have not been read before.

        Raises:
          RunError: a file is damaged or cannot be read.
        """
        with self._explained():
            names = sorted(file.name for file in self.path.glob("*.npz"))
        for name in names:
            if name not in self._seen:
                self._seen.add(name)
                yield self._read(self.path / name)

    def copy(self, source: pathlib.Path | str) -> Iterator[Kept]:
        """Copies the files of another folder that are not here, and gives their contents.

        Raises:
          UsageError: there is none, or its points are of another kind.
          RunError: a file is damaged, cannot be read or cannot be written.
        """
        source = expanded(source, "extends")
        if not (source / GRID).exists():
            raise UsageError(f"extends={str(source)!r}: holds no points of a sweep")
        self._check_same("extends", source)
        for file in sorted(source.glob("*.npz")):
            here = self.path / file.name
            kept = self._read(file)
            if jax.process_index() == 0 and not here.exists():
                with self._explained():
                    atomic_write(here, file.read_bytes())
            yield kept

    def _read(self, path: pathlib.Path) -> Kept:
        again = "delete it, and the same command measures it again"
        with self._explained():
            contents = io.BytesIO(path.read_bytes())
        try:
            with np.load(contents, allow_pickle=False) as file:
                values = {name: file[name] for name in file.files}
            key = str(values.pop("key"))
            columns = [values.pop(f"point_{name}").tolist() for name in Point._fields]
        except Exception as error:  # what a damaged archive raises depends on where it is damaged
            raise reading.unusable(path, error, again) from error
        points = tuple(map(Point._make, zip(*columns, strict=True)))
        if "state" not in values or any(len(value) != len(points) for value in values.values()):
            raise RunError(f"{path}: expected {len(points)} points; {again}")
        return Kept(key, points, values)

    def store(self, grid_chunk: GridChunk, values: Values) -> None:
        """Writes the values of a grid chunk.

        Raises:
          RunError: the disk is full, or the folder cannot be written.
        """
        columns = zip(*grid_chunk.points, strict=True)
        points = {
            f"point_{name}": np.array(column)
            for name, column in zip(Point._fields, columns, strict=True)
        }
        buffer = io.BytesIO()
        np.savez(buffer, key=np.array(grid_chunk.key), **points, **values)  # type: ignore[arg-type]
        self._seen.add(f"{grid_chunk.name}.npz")
        with self._explained():
            atomic_write(self.path / f"{grid_chunk.name}.npz", buffer.getvalue())

    def wait(self) -> None:
        """Waits a moment for another host.

        Raises:
          RunError: another host has failed.
        """
        with self._explained():
            failed = self._failures().items() - self._old_failures.items()
        if failed:
            host, note = min(failed)
            reason = note.partition(" ")[2]
            raise RunError(
                f"{host} has failed ({reason}). Fix this and rerun the same command on all hosts "
                "to resume."
            )
        time.sleep(INTERVAL)

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
                f"{file}: is damaged; delete the folder {file.parent} to start again, or choose "
                "another folder"
            ) from error

    def _check_same(self, argument: str, path: pathlib.Path) -> None:
        """Raises UsageError if the points of a folder are of another kind than the grid's."""
        here, there = self._common, self._settings(path / GRID)
        for name in here | there:
            if here.get(name) != there.get(name):
                raise UsageError(
                    f"{argument}={str(path)!r}: holds points of another kind ({name} is "
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
