"""Runs a grid, one grid chunk after the other, into one data set; resumes an earlier run."""

from __future__ import annotations

import contextlib
import math
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
import xarray as xr

from rnnlab.errors import UsageError
from rnnlab.run.progress import Progress
from rnnlab.sweep import grid_chunks
from rnnlab.sweep.draws import InputTexts
from rnnlab.sweep.folder import Folder
from rnnlab.sweep.grid import Grid
from rnnlab.sweep.grid_chunks import GridChunk, Values
from rnnlab.sweep.table import Table


def run(
    grid: Grid,
    folder: pathlib.Path | str | None = None,
    *,
    memory: float = 512 * 2**20,
    data_dir: str | None = None,
    manual_dir: str | None = None,
) -> xr.Dataset:
    """Measures every point of the grid.

    Points that share shapes run as one compiled program, mapped over the points and spread over
    all devices of this host; after `jax.distributed.initialize` the hosts share the grid chunks,
    and must share `folder`. With a folder, each finished grid chunk is kept there: after a stop,
    even `kill -9`, the same call computes what is missing and ends with the same bits.

    Args:
      grid: what to vary.
      folder: where grid chunks are kept; None keeps them in memory (one host only).
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
        a folder that belongs to another grid.
      RunError: a damaged grid chunk, a disk that is full or cannot be used, a text that cannot be
        loaded, or another host that has failed.
    """
    _check(grid, folder, memory)
    input_texts = InputTexts(data_dir, manual_dir)
    todo = grid_chunks.cut(grid, memory, input_texts)
    kept = None if folder is None else Folder(folder, grid, memory)
    table = Table(grid)
    old = {grid_chunk for grid_chunk in todo if kept is not None and kept.holds(grid_chunk)}
    done = sum(grid_chunk.size(grid) for grid_chunk in old)
    with contextlib.ExitStack() as stack:
        if kept is not None:
            stack.enter_context(kept.telling_hosts())
        progress = stack.enter_context(Progress("sweep", total=grid.size, done=done))
        for grid_chunk, values in _values(grid, todo, kept, input_texts):
            table.fill(grid_chunk, values)
            steps = 0 if grid_chunk in old else grid_chunk.size(grid)
            progress.advance(steps, _numbers(grid_chunk, values, table.overflowed))
    return table.dataset()


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


def _values(
    grid: Grid, todo: list[GridChunk], folder: Folder | None, input_texts: InputTexts
) -> Iterator[tuple[GridChunk, Values]]:
    """The values of all grid chunks: those kept, those computed here, then those of other hosts."""
    elsewhere = []
    for number, grid_chunk in enumerate(todo):
        values = None if folder is None else folder.restore(grid_chunk, grid)
        if values is None:
            if number % jax.process_count() != jax.process_index():
                elsewhere.append(grid_chunk)
                continue
            values = grid_chunks.measure(grid, grid_chunk, input_texts)
            if folder is not None:
                folder.store(grid_chunk, values)
        yield grid_chunk, values
    for grid_chunk in elsewhere:
        assert folder is not None
        yield grid_chunk, folder.wait(grid_chunk, grid)


def _numbers(grid_chunk: GridChunk, values: Values, overflowed: int) -> str:
    """What the progress bar tells of a grid_chunk."""
    program, longest = grid_chunk.program, values["state"][:, -1]
    finite = longest[np.isfinite(longest)]
    between = f"{finite.min():.1f} … {finite.max():.1f}" if finite.size else "none finite"
    lost = f", {overflowed} overflowed" if overflowed else ""
    return (
        f"{program.cell} {program.init} H={program.hidden}, longest T: log10‖∂L/∂s_0‖ "
        f"{between}{lost}"
    )
