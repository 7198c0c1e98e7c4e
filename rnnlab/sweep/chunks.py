"""Points of one program in chunks: how many fit in memory, their computation, their files.

The cut into chunks depends on the grid and the stated memory alone, neither on the devices nor on
what an earlier run has left to do: a sweep that continues computes the same programs on the same
numbers, and ends with the same bits.
"""

from __future__ import annotations

import io
import pathlib
import zipfile
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnlab.cells.base import Array, Cell, Params
from rnnlab.errors import RunError
from rnnlab.sweep.draws import Draws
from rnnlab.sweep.grid import Grid
from rnnlab.sweep.kernel import gradient_norms
from rnnlab.workdir import atomic_write

#: Name of the axis over which points are spread.
AXIS = "points"


def chunk_size(grid: Grid, draws: Draws, memory: float) -> int:
    """Points of a chunk whose trajectories take at most `memory` bytes, and never less than one.

    A point keeps its inputs, their projection and the state of every step; XLA holds each about
    twice while it cuts them into blocks.
    """
    one = jax.tree.map(lambda a: a[0], draws.params)
    kept = jax.eval_shape(
        lambda params, xs: (
            xs,
            draws.cell.project(params, xs),
            draws.cell.initial_state(xs.shape[:2], xs.dtype),
        ),
        one,
        draws.xs[0],
    )
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))
    most = max(1, int(memory // (2 * size)))
    count = -(-grid.points_per_program // most)
    return -(-grid.points_per_program // count)


def compute(grid: Grid, draws: Draws, points: np.ndarray) -> dict[str, np.ndarray]:
    """Measures `points` (flat indices into input scale × radius × seed), spread over all devices.

    Returns:
      `gradient_norms` of each point, `[len(points), lengths]`.
    """
    devices = np.array(jax.local_devices())
    padded = np.resize(points, -(-len(points) // len(devices)) * len(devices))
    scale, radius, seed = np.unravel_index(
        padded, (len(grid.input_scales), len(grid.scales), grid.seeds)
    )
    dtype = draws.xs.dtype
    per_point = (
        seed.astype(np.int32),
        draws.factors(grid)[radius, seed].astype(dtype),
        np.asarray(grid.input_scales)[scale].astype(dtype),
    )
    mesh = Mesh(devices, (AXIS,))
    spread = NamedSharding(mesh, PartitionSpec(AXIS))
    everywhere = NamedSharding(mesh, PartitionSpec())
    per_point = jax.device_put(per_point, spread)
    shared = jax.device_put((draws.params, draws.xs, draws.readout), everywhere)
    norms = _measure(draws.cell, grid.steps, mesh, per_point, shared)
    return {name: np.asarray(value)[: len(points)] for name, value in norms.items()}


@partial(jax.jit, static_argnums=(0, 1, 2))
def _measure(
    cell: Cell,
    lengths: tuple[int, ...],
    mesh: Mesh,
    per_point: tuple[Array, Array, Array],
    shared: tuple[Params, Array, Array],
) -> dict[str, Array]:
    """`gradient_norms` of many points; each device works through its own, nothing is exchanged."""

    def points(
        per_point: tuple[Array, Array, Array], shared: tuple[Params, Array, Array]
    ) -> dict[str, Array]:
        def point(seed: Array, factors: Array, input_scale: Array) -> dict[str, Array]:
            params, xs, readout = jax.tree.map(lambda a: a[seed], shared)
            if "wh" in params:
                columns = jnp.repeat(factors, cell.hidden, total_repeat_length=params["wh"].shape[-1])
                params = params | {"wh": params["wh"] * columns}
            return gradient_norms(cell, params, xs * input_scale, readout, lengths)

        return jax.vmap(point)(*per_point)

    return jax.shard_map(
        points,
        mesh=mesh,
        in_specs=(PartitionSpec(AXIS), PartitionSpec()),
        out_specs=PartitionSpec(AXIS),
        check_vma=False,  # nothing is exchanged, so there is nothing to check
    )(per_point, shared)


def store(path: pathlib.Path, values: dict[str, np.ndarray]) -> None:
    """Writes the values of a chunk; the file is whole or not there."""
    buffer = io.BytesIO()
    np.savez(buffer, **values)  # type: ignore[arg-type]
    atomic_write(path, buffer.getvalue())


def restore(path: pathlib.Path, points: int, lengths: int) -> dict[str, np.ndarray] | None:
    """Reads a chunk; None if it is not there.

    Raises:
      RunError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
    except FileNotFoundError:
        return None
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        raise RunError(
            f"{path}: is damaged ({error}); delete it and run the same command again"
        ) from error
    if not values or any(value.shape != (points, lengths) for value in values.values()):
        raise RunError(
            f"{path}: holds other shapes than {(points, lengths)}; delete it and run the same "
            "command again"
        )
    return values
