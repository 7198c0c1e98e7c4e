"""Runs a grid: chunk after chunk, continuing where an earlier run stopped, into one data set."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import xarray as xr

from rnnlab.errors import RunError, UsageError
from rnnlab.progress import Progress
from rnnlab.sweep import chunks
from rnnlab.sweep.draws import Draws, draw
from rnnlab.sweep.grid import Grid, Program
from rnnlab.workdir import atomic_write

#: Name, in the result, of what `gradient_norms` returns under the key, and what it means.
QUANTITIES = {
    "state": ("log10_grad_state", "log10 ‖∂L/∂s_0‖ of the joint state, mean over the batch"),
    "h": ("log10_grad_h", "log10 ‖∂L/∂h_0‖, mean over the batch"),
    "c": ("log10_grad_c", "log10 ‖∂L/∂c_0‖, mean over the batch"),
    "wh": ("log10_grad_wh", "log10 ‖∂L/∂wh‖ of the loss averaged over the batch"),
}


@dataclasses.dataclass(frozen=True)
class _Chunk:
    """A range of the points of one program, and the file that keeps its values."""

    program: int
    start: int
    stop: int

    @property
    def file(self) -> str:
        return f"program-{self.program:03d}-points-{self.start:06d}-{self.stop:06d}.npz"


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
      memory: bytes that the trajectories of one chunk may take.
      data_dir: where TFDS keeps data, for inputs from a text.
      manual_dir: where the original files of a data set lie, if they are not downloaded.

    Returns:
      A data set with the axes `grid.axes`: the `log10_grad_*` of `QUANTITIES`; with the axis `gate`
      in place of `length`, the measured `spectral_radius` and `sigma_max` of every recurrent
      matrix (NaN for gates a cell does not have); and `input_std`, the standard deviation of
      `x @ wx`.

    Raises:
      UsageError: 64-bit numbers asked for and not enabled, no memory for one point, or a folder
        that belongs to another grid.
      RunError: a damaged chunk, or a value that is not a number.
    """
    _check(grid, folder, memory)
    parts = None if folder is None else _open(pathlib.Path(folder), grid, memory)
    result = _empty(grid)
    total = len(grid.programs()) * grid.points_per_program
    with Progress("sweep", total=total) as progress:
        for index, program in enumerate(grid.programs()):
            draws = draw(grid, program, data_dir, manual_dir)
            place = _place(program)
            _fill_measured(result, grid, draws, place)
            for chunk in _cut(grid, draws, index, memory):
                values = _values(grid, draws, chunk, parts)
                if values is not None:
                    _fill(result, grid, program, place, chunk, values)
                progress.advance(chunk.stop - chunk.start, _numbers(program, values))
    if jax.process_count() > 1:
        _gather(grid, result, parts, memory, data_dir, manual_dir)
    return result


def _check(grid: Grid, folder: Any, memory: float) -> None:
    if grid.dtype == "float64" and not jax.config.jax_enable_x64:
        raise UsageError(
            "dtype='float64': JAX computes in 32 bits; call jax.config.update('jax_enable_x64', "
            "True) first, or take dtype='float32'"
        )
    if not (memory > 0 and math.isfinite(memory)):
        raise UsageError(f"memory={memory}: must be a positive number of bytes")
    if folder is None and jax.process_count() > 1:
        raise UsageError("folder=None: several hosts need a folder that all of them share")


def _cut(grid: Grid, draws: Draws, program: int, memory: float) -> Iterator[_Chunk]:
    size = chunks.chunk_size(grid, draws, memory)
    for start in range(0, grid.points_per_program, size):
        yield _Chunk(program, start, min(start + size, grid.points_per_program))


def _values(
    grid: Grid, draws: Draws, chunk: _Chunk, parts: pathlib.Path | None
) -> dict[str, np.ndarray] | None:
    """The values of a chunk: kept, computed here, or None where another host computes them."""
    points = np.arange(chunk.start, chunk.stop)
    if parts is not None:
        values = chunks.restore(parts / chunk.file, len(points), len(grid.steps))
        if values is not None:
            return values
    if (chunk.program + chunk.start) % jax.process_count() != jax.process_index():
        return None
    values = chunks.compute(grid, draws, points)
    for name, value in values.items():
        if np.isnan(value).any():
            raise RunError(
                f"{chunk.file}: log10 gradient norm of {name} is not a number; the network's state "
                "left the range of the dtype, take smaller radii, shorter lengths or float64"
            )
    if parts is not None:
        chunks.store(parts / chunk.file, values)
    return values


def _open(folder: pathlib.Path, grid: Grid, memory: float) -> pathlib.Path:
    """Makes the folder of the chunks, or checks that it belongs to this grid."""
    settings = json.dumps(dataclasses.asdict(grid) | {"memory": memory}, indent=2) + "\n"
    path = folder / "grid.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists() and jax.process_index() == 0:
            atomic_write(path, settings)
        elif path.exists() and path.read_text() != settings:
            raise UsageError(
                f"folder={str(folder)!r}: holds the chunks of another grid; choose another folder"
            )
    except OSError as error:
        raise RunError(f"folder={str(folder)!r}: {error.strerror}; choose another folder") from error
    return folder


def _empty(grid: Grid) -> xr.Dataset:
    """The result, filled with NaN."""
    axes = {name: list(values) for name, values in grid.axes.items()}
    shape = [len(values) for values in axes.values()]
    result = xr.Dataset(coords=axes, attrs={"settings": json.dumps(dataclasses.asdict(grid))})
    for name, meaning in QUANTITIES.values():
        result[name] = (list(axes), np.full(shape, np.nan), {"long_name": meaning})
    result["length"].attrs = {"long_name": "sequence length T", "units": "steps"}
    return result


def _place(program: Program) -> dict[str, Any]:
    return {
        "cell": program.cell,
        "init": program.init,
        "hidden": program.hidden,
        "inputs": program.inputs,
    }


def _fill(
    result: xr.Dataset,
    grid: Grid,
    program: Program,
    place: dict[str, Any],
    chunk: _Chunk,
    values: dict[str, np.ndarray],
) -> None:
    """Writes the values of a chunk to their places."""
    shape = (len(grid.input_scales), len(grid.scales), grid.seeds, len(grid.steps))
    for key, value in values.items():
        if key not in QUANTITIES:  # a part of the state that only this cell has
            continue
        block = result[QUANTITIES[key][0]].loc[place]
        flat = block.to_numpy().reshape(-1, len(grid.steps)).copy()
        flat[chunk.start : chunk.stop] = value
        result[QUANTITIES[key][0]].loc[place] = flat.reshape(shape)


def _fill_measured(
    result: xr.Dataset, grid: Grid, draws: Draws, place: dict[str, Any]
) -> None:
    """Writes the measured radii, largest singular values and input strengths of a program."""
    if "gate" not in result.coords:
        gates = dict.fromkeys(gate for name in grid.cells for gate in _gates(grid, name))
        result.coords["gate"] = list(gates) or ["none"]
        axes = [name for name in grid.axes if name not in ("input_scale", "length")]
        shape = [len(grid.axes[name]) for name in axes] + [len(result.gate)]
        for name, meaning in (
            ("spectral_radius", "measured spectral radius ρ of each recurrent matrix"),
            ("sigma_max", "measured largest singular value σ_max of each recurrent matrix"),
        ):
            result[name] = ([*axes, "gate"], np.full(shape, np.nan), {"long_name": meaning})
        axes = [name for name in grid.axes if name not in (grid.scale, "length")]
        shape = [len(grid.axes[name]) for name in axes]
        meaning = "standard deviation of x @ wx over time, batch and units"
        result["input_std"] = (axes, np.full(shape, np.nan), {"long_name": meaning})
    factors = draws.factors(grid)
    for gate_index, gate in enumerate(draws.gates):
        where = place | {"gate": gate}
        result["spectral_radius"].loc[where] = (factors * draws.spectral_radius)[..., gate_index]
        result["sigma_max"].loc[where] = (factors * draws.sigma_max)[..., gate_index]
    scales = np.asarray(grid.input_scales)[:, None]
    result["input_std"].loc[place] = scales * np.asarray(draws.input_std)


def _gates(grid: Grid, name: str) -> tuple[str, ...]:
    from rnnlab import cells

    cell = cells.by_name(name, 1)
    params = jax.eval_shape(lambda key: cell.init(key, 1), jax.random.key(0))
    return cell.recurrent_blocks if "wh" in params else ()


def _numbers(program: Program, values: dict[str, np.ndarray] | None) -> str:
    """What the progress bar tells of a chunk."""
    if values is None:
        return f"{program.cell}: left to another host"
    longest = values["state"][:, -1]
    return (
        f"{program.cell} {program.init} H={program.hidden}, longest T: log10‖∂L/∂s_0‖ "
        f"{longest.min():.1f} … {longest.max():.1f}"
    )


def _gather(
    grid: Grid,
    result: xr.Dataset,
    parts: pathlib.Path | None,
    memory: float,
    data_dir: str | None,
    manual_dir: str | None,
) -> None:
    """Waits for the other hosts, then reads their chunks."""
    from jax.experimental import multihost_utils

    assert parts is not None
    multihost_utils.sync_global_devices("rnnlab.sweep")
    for index, program in enumerate(grid.programs()):
        draws = draw(grid, program, data_dir, manual_dir)
        for chunk in _cut(grid, draws, index, memory):
            points = chunk.stop - chunk.start
            values = chunks.restore(parts / chunk.file, points, len(grid.steps))
            if values is None:
                raise RunError(f"{parts / chunk.file}: missing; all hosts must share the folder")
            _fill(result, grid, program, _place(program), chunk, values)


