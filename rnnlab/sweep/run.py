"""Runs a grid: chunk after chunk, continuing where an earlier run stopped, into one data set."""

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
from rnnlab.sweep import chunks
from rnnlab.sweep.chunks import Chunk, Values
from rnnlab.sweep.draws import Corpora
from rnnlab.sweep.folder import Folder
from rnnlab.sweep.grid import Grid
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
    all devices of this host; after `jax.distributed.initialize` the hosts share the chunks, and
    must share `folder`. With a folder, each finished chunk is kept there: after a stop, even
    `kill -9`, the same call computes what is missing and ends with the same bits.

    Args:
      grid: what to vary.
      folder: where chunks are kept; None keeps them in memory (one host only).
      memory: bytes that the points of one chunk may take.
      data_dir: where TFDS keeps data, for inputs from a text.
      manual_dir: where the original files of a data set lie, if they are not downloaded.

    Returns:
      A data set with the axes `grid.axes`: the `log10_grad_*` of `QUANTITIES`; with the axis `gate`
      in place of `length`, the measured `spectral_radius` and `sigma_max` of every recurrent
      matrix (NaN for gates a cell does not have); and `input_std`, the standard deviation of
      `x @ wx`. -inf is a gradient that is exactly zero. NaN stands where a cell has no such
      quantity, and where the state of the network left the range of the dtype before the end of
      that length, as that of a ReLU network above radius 1 may; the attribute `overflowed` counts
      the latter.

    Raises:
      UsageError: 64-bit numbers asked for and not enabled, no memory, a text that does not fit, or
        a folder that belongs to another grid.
      RunError: a damaged chunk, a disk that is full or cannot be used, a text that cannot be had,
        or another host that has failed.
    """
    _check(grid, folder, memory)
    corpora = Corpora(data_dir, manual_dir)
    todo = chunks.cut(grid, memory, corpora)
    kept = None if folder is None else Folder(folder, grid, memory)
    table = Table(grid)
    old = {chunk for chunk in todo if kept is not None and kept.holds(chunk)}
    done = sum(chunk.size(grid) for chunk in old)
    with contextlib.ExitStack() as stack:
        if kept is not None:
            stack.enter_context(kept.telling_hosts())
        progress = stack.enter_context(Progress("sweep", total=grid.size, done=done))
        for chunk, values in _values(grid, todo, kept, corpora):
            table.fill(chunk, values)
            steps = 0 if chunk in old else chunk.size(grid)
            progress.advance(steps, _numbers(chunk, values, table.overflowed))
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
    grid: Grid, todo: list[Chunk], folder: Folder | None, corpora: Corpora
) -> Iterator[tuple[Chunk, Values]]:
    """The values of all chunks: those kept, those computed here, then those of other hosts."""
    elsewhere = []
    for number, chunk in enumerate(todo):
        values = None if folder is None else folder.restore(chunk, grid)
        if values is None:
            if number % jax.process_count() != jax.process_index():
                elsewhere.append(chunk)
                continue
            values = chunks.measure(grid, chunk, corpora)
            if folder is not None:
                folder.store(chunk, values)
        yield chunk, values
    for chunk in elsewhere:
        assert folder is not None
        yield chunk, folder.wait(chunk, grid)


def _numbers(chunk: Chunk, values: Values, overflowed: int) -> str:
    """What the progress bar tells of a chunk."""
    program, longest = chunk.program, values["state"][:, -1]
    finite = longest[np.isfinite(longest)]
    between = f"{finite.min():.1f} … {finite.max():.1f}" if finite.size else "none finite"
    lost = f", {overflowed} overflowed" if overflowed else ""
    return (
        f"{program.cell} {program.init} H={program.hidden}, longest T: log10‖∂L/∂s_0‖ "
        f"{between}{lost}"
    )
