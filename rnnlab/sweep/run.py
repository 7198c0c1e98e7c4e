"""Runs a grid into one data set, one grid chunk after the other; resumes, extends earlier runs."""

from __future__ import annotations

import contextlib
import math
import pathlib
from collections.abc import Iterable, Sequence

import jax
import numpy as np
import xarray as xr

from rnnlab.errors import UsageError
from rnnlab.run.progress import Progress
from rnnlab.sweep import grid_chunks
from rnnlab.sweep.draws import InputTexts, features_in
from rnnlab.sweep.folder import Folder, Kept
from rnnlab.sweep.grid import Grid, Point, Program
from rnnlab.sweep.grid_chunks import Values
from rnnlab.sweep.table import Table


def run(
    grid: Grid,
    folder: pathlib.Path | str | None = None,
    *,
    extends: pathlib.Path | str | None = None,
    memory: float = 512 * 2**20,
    data_dir: str | None = None,
    manual_dir: str | None = None,
) -> xr.Dataset:
    """Measures every point of the grid.

    Points that share shapes run as one compiled program, mapped over the points and spread over
    all devices of this host; after `jax.distributed.initialize` the hosts share the grid chunks,
    and must share `folder`. With a folder, each finished grid chunk is kept there: after a stop,
    even `kill -9`, the same call computes what is missing and ends with the same bits. So does a
    call with a larger grid, of more seeds, radii, cells, sizes, inputs or hyperparameters: what the
    folder holds is taken over, and on the CPU the result has the bits of a sweep from scratch.
    Other lengths are another measurement, as all lengths of a network come from one run: they need
    a folder of their own.

    Args:
      grid: what to vary.
      folder: where grid chunks are kept; None keeps them in memory (one host only).
      extends: the folder of an earlier sweep, whose points are copied to `folder` and taken over.
      memory: bytes that the points of one grid chunk may take.
      data_dir: where TFDS keeps data, for inputs from a text.
      manual_dir: where the original files of a data set lie, if they are not downloaded.

    Returns:
      A data set with the axes `grid.axes`: the `log10_grad_*` of `QUANTITIES`; with the axis `gate`
      in place of `length`, the measured `spectral_radius` and `sigma_max` of every recurrent
      matrix (NaN for gates a cell does not have); and `input_std`, the standard deviation of
      `x @ wx`. -inf is a gradient that is exactly zero. It is NaN where a cell has no such
      quantity, and where the state of the network left the range of the dtype before the end of
      that length, as that of a ReLU network above radius 1 may; the attribute `overflowed` counts
      the latter.

    Raises:
      UsageError: 64-bit numbers asked for and not enabled, no memory, a text that does not fit, or
        a folder whose points have other lengths, or differ in something else that all share.
      RunError: a damaged grid chunk, a disk that is full or cannot be used, a text that cannot be
        loaded, or another host that has failed.
    """
    _check(grid, folder, memory)
    sweep = _Sweep(grid, folder, memory, InputTexts(data_dir, manual_dir))
    if extends is not None:
        sweep.extend(extends)
    return sweep.run()


def _check(grid: Grid, folder: pathlib.Path | str | None, memory: float) -> None:
    if grid.dtype == "float64" and not jax.config.read("jax_enable_x64"):
        raise UsageError(
            "dtype='float64': JAX computes in 32 bits; call jax.config.update('jax_enable_x64', "
            "True) first, or take dtype='float32'"
        )
    if not (memory > 0 and math.isfinite(memory)):
        raise UsageError(f"memory={memory}: must be a positive number of bytes")
    if folder is None and jax.process_count() > 1:
        raise UsageError("folder=None: several hosts need a folder that all of them share")


class _Sweep:
    """A sweep under way: which points are missing still."""

    def __init__(
        self,
        grid: Grid,
        folder: pathlib.Path | str | None,
        memory: float,
        input_texts: InputTexts,
    ) -> None:
        self._grid, self._memory, self._texts = grid, memory, input_texts
        for program in grid.programs():  # what is wrong with a text must not show after hours
            features_in(grid, program, input_texts)
        # Programs that differ in their names only are measured once.
        self._programs: dict[str, list[Program]] = {}
        for program in grid.programs():
            key = grid_chunks.key_of(program, input_texts)
            self._programs.setdefault(key, []).append(program)
        self._missing = {key: dict.fromkeys(grid.points()) for key in self._programs}
        self._table = Table(grid)
        self._folder = None if folder is None else Folder(folder, grid, memory)

    def extend(self, earlier: pathlib.Path | str) -> None:
        """Takes what the folder of an earlier sweep holds of the grid."""
        if self._folder is None:
            raise UsageError(f"extends={str(earlier)!r}: needs a folder to which points are copied")
        self._take(self._folder.copy(earlier))

    def run(self) -> xr.Dataset:
        """Takes what the folder holds, measures what this host has to, and waits for the others."""
        with contextlib.ExitStack() as stack:
            if self._folder is not None:
                stack.enter_context(self._folder.telling_hosts())
            self._take(self._folder.new() if self._folder is not None else ())
            total = len(self._missing) * len(self._grid.points())
            done = total - self._count()
            progress = stack.enter_context(Progress("sweep", total=total, done=done))
            for key, (program, *_) in self._programs.items():
                points = [point for point in self._mine() if point in self._missing[key]]
                for grid_chunk in grid_chunks.cut(
                    self._grid, program, points, self._memory, self._texts
                ):
                    values = grid_chunks.measure(self._grid, grid_chunk, self._texts)
                    if self._folder is not None:
                        self._folder.store(grid_chunk, values)
                    self._fill(key, grid_chunk.points, values)
                    numbers = self._numbers(program, values)
                    progress.advance(len(grid_chunk.points), numbers)
            while self._folder is not None and (before := self._count()):
                self._take(self._folder.new())
                progress.advance(before - self._count(), "measured by another host")
                if self._count():
                    self._folder.wait()
        return self._table.dataset()

    def _mine(self) -> list[Point]:
        """The points of a program that this host measures: a contiguous share of all of them."""
        points, hosts, host = self._grid.points(), jax.process_count(), jax.process_index()
        first, last = (len(points) * place // hosts for place in (host, host + 1))
        return points[first:last]

    def _count(self) -> int:
        """How many points are missing."""
        return sum(map(len, self._missing.values()))

    def _take(self, files: Iterable[Kept]) -> None:
        """Fills in what files hold of the grid."""
        for kept in files:
            if kept.key in self._programs:
                self._fill(kept.key, kept.points, kept.values)

    def _fill(self, key: str, points: Sequence[Point], values: Values) -> None:
        wanted = [place for place, point in enumerate(points) if point in self._missing[key]]
        if wanted:
            some = [points[place] for place in wanted]
            own = {name: value[wanted] for name, value in values.items()}
            for program in self._programs[key]:
                self._table.fill(program, some, own)
            for point in some:
                del self._missing[key][point]

    def _numbers(self, program: Program, values: Values) -> str:
        """What the progress bar tells of a grid chunk."""
        longest = values["state"][:, -1]
        finite = longest[np.isfinite(longest)]
        between = f"{finite.min():.1f} … {finite.max():.1f}" if finite.size else "none finite"
        overflowed = self._table.overflowed
        lost = f", {overflowed} overflowed" if overflowed else ""
        return f"{program.name}, longest T: log10‖∂L/∂s_0‖ {between}{lost}"
