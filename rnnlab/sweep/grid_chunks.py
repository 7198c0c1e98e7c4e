"""The grid chunks of a grid: how they are cut, and how one of them is measured.

A grid chunk holds whole seeds, or a part of the points of one seed where all of them do not fit in
memory. All grid chunks of a program have the same shape, so that it is compiled once. The cut
depends on the grid and the stated memory alone, neither on the devices nor on what an earlier run
has left to do: a sweep that continues runs the same programs and ends with the same bits.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnlab import cells, precision
from rnnlab.arrays import Array, Float, Int, Params
from rnnlab.gradients.recurrent import RecurrentLeaves, recurrent_leaves
from rnnlab.layer import Cell, output_size
from rnnlab.sweep import quick
from rnnlab.sweep.draws import Draws, InputTexts, draw, features_in
from rnnlab.sweep.grid import Grid, Program
from rnnlab.sweep.kernel import TIME_BLOCK, gradient_norms
from rnnlab.tracing import trace

#: Name of the axis over which points are spread.
AXIS = "points"

#: Points that run side by side on one CPU device: more of them fall out of its caches.
SIDE_BY_SIDE = 2

#: What was measured of the points of a grid chunk, by name; the first axis is that of the points.
Values = dict[str, Float[np.ndarray, "n ..."]]


@dataclasses.dataclass(frozen=True)
class GridChunk:
    """Some points of one program: `seeds` × `points`, the latter counted within a seed.

    The last one of a program may reach beyond the end; what lies there is computed and dropped.

    Attributes:
      number: of the program in `grid.programs()`.
      program: itself.
      seeds: the seeds.
      points: indices into input scale × radius.
    """

    number: int
    program: Program
    seeds: range
    points: range

    @property
    def name(self) -> str:
        """A name for a file."""
        first, last = self.seeds[0], self.seeds[-1]
        points = f"points-{self.points[0]:04d}-{self.points[-1]:04d}"
        return f"program-{self.number:03d}-seeds-{first:04d}-{last:04d}-{points}"

    def indices(
        self, grid: Grid
    ) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
        """Input scale, radius and seed of each point, as indices into the axes of the grid."""
        seeds = [seed for seed in self.seeds if seed < grid.seeds]
        points = [point for point in self.points if point < grid.points_per_seed]
        seed, point = (a.ravel() for a in np.meshgrid(seeds, points, indexing="ij"))
        return (*np.divmod(point, len(grid.scales)), seed)

    def size(self, grid: Grid) -> int:
        """Number of points within the grid."""
        return len(self.indices(grid)[0])


def cut(grid: Grid, memory: float, input_texts: InputTexts) -> list[GridChunk]:
    """The grid chunks of all programs, none of which takes more than `memory` bytes for its points.

    A grid chunk has at least one point, even where that is too large.

    Raises:
      UsageError: a text that does not fit the grid.
      RunError: a text that cannot be loaded.
    """
    grid_chunks = []
    for number, program in enumerate(grid.programs()):
        size = bytes_per_point(grid, program, features_in(grid, program, input_texts))
        most = max(1, int(memory // size))
        points = _even(grid.points_per_seed, most)
        seeds = _even(grid.seeds, max(1, most // points))
        grid_chunks += [
            GridChunk(number, program, range(seed, seed + seeds), range(point, point + points))
            for seed in range(0, grid.seeds, seeds)
            for point in range(0, grid.points_per_seed, points)
        ]
    return grid_chunks


def _even(total: int, most: int) -> int:
    """Size of equal parts, at most `most`, that make up `total` and waste as little as can be."""
    parts = -(-total // most)
    return -(-total // parts)


def bytes_per_point(grid: Grid, program: Program, features: int) -> int:
    """Memory that XLA takes for a point while it is measured: on the CPU to within a half.

    On a GPU it takes down to half of that, as it reuses more buffers.

    That is the inputs and the states of all steps; and, as they were and as they become, for each
    length the adjoint, the gradient of the recurrent weights and a time block of the adjoints of
    the products, and what a time block takes besides.
    """
    cell = cells.by_name(program.cell, program.hidden)
    dtype = jnp.dtype(grid.dtype)
    steps, batch, lengths = grid.sorted_lengths[-1], grid.batch, len(grid.lengths)

    def shapes(key: Array) -> Any:
        params = cell.init(key, features, dtype)
        xs = jnp.zeros((steps, batch, features), dtype)
        state = cell.initial_state((batch,), dtype)
        traced = trace(cell, params, xs, state)
        us = traced.project(params, xs[0])
        weights = recurrent_leaves(cell).get(params)
        products = traced.products(params, us, state)
        every_step = (xs, cell.initial_state((steps, batch), dtype))
        return every_step, (state, weights), products, (us, products, state)

    every_step, twice, products, time_block = map(_bytes, jax.eval_shape(shapes, jax.random.key(0)))
    return every_step + 2 * (lengths * (twice + TIME_BLOCK * products) + TIME_BLOCK * time_block)


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def measure(grid: Grid, grid_chunk: GridChunk, input_texts: InputTexts) -> Values:
    """Measures the points of a grid chunk, spread over all devices of this host.

    Returns:
      For each of the `n` points, in the order of `grid_chunk.indices`: what `gradient_norms`
      returns, `[n, lengths]`, NaN where the network's state leaves the range of the dtype;
      `spectral_radius` and `sigma_max` of the `k` recurrent matrices, `[n, k]`; `input_std` `[n]`.
    """
    input_index, scale_index, seed = grid_chunk.indices(grid)
    first = grid_chunk.seeds[0]
    compiling = _start_compiling(grid, grid_chunk, input_texts)  # while the networks are drawn
    draws = draw(grid, grid_chunk.program, np.array(grid_chunk.seeds), input_texts)
    input_scale = np.asarray(grid.input_scales, float)[input_index]
    factor = np.asarray(grid.scales, float)[scale_index, None]
    if grid.scale == "radius":
        factor = factor / draws.spectral_radius[seed - first]
    factor = np.broadcast_to(factor, (len(seed), draws.spectral_radius.shape[-1]))
    arguments = _spread(grid_chunk, draws, (seed - first, factor, input_scale))
    compiling.result()
    norms = _measure(*_program(grid, grid_chunk), *arguments)
    norms = {name: np.asarray(value)[: len(seed)] for name, value in norms.items()}
    return _without_overflow(norms) | {
        "spectral_radius": factor * draws.spectral_radius[seed - first],
        "sigma_max": factor * draws.sigma_max[seed - first],
        "input_std": input_scale * draws.input_std[seed - first],
    }


def _without_overflow(norms: Values) -> Values:
    """Leaves NaN in all norms of a point and length where one of them is NaN or inf.

    After an overflow of the state some may look sound, such as the zero that a ReLU makes of NaN.
    """
    lost = np.any([np.isnan(value) | (value == np.inf) for value in norms.values()], axis=0)
    return {name: np.where(lost, np.nan, value) for name, value in norms.items()}


def _program(grid: Grid, grid_chunk: GridChunk) -> tuple[Cell, tuple[int, ...], Mesh]:
    """What `_measure` is compiled for, shapes aside."""
    cell = cells.by_name(grid_chunk.program.cell, grid_chunk.program.hidden)
    return cell, grid.sorted_lengths, Mesh(np.array(jax.local_devices()), (AXIS,))


def _start_compiling(grid: Grid, grid_chunk: GridChunk, input_texts: InputTexts) -> Future[Any]:
    """Compiles `_measure` for a grid chunk in a thread of its own."""
    cell, steps, mesh = _program(grid, grid_chunk)
    dtype = jnp.dtype(grid.dtype)
    features = features_in(grid, grid_chunk.program, input_texts)

    def drawn() -> tuple[Params, Array, Array]:
        params = cell.init(jax.random.key(0), features, dtype)
        xs = jnp.zeros((steps[-1], grid.batch, features), dtype)
        one = (params, xs, jnp.zeros((grid.batch, output_size(cell)), dtype))
        return jax.tree.map(lambda a: jnp.stack([a] * len(grid_chunk.seeds)), one)

    shared = jax.eval_shape(drawn)
    points = _padded(grid_chunk, mesh.size)
    gates = len(recurrent_leaves(cell).gates)
    per_point = (
        jax.ShapeDtypeStruct((points,), np.int32),
        jax.ShapeDtypeStruct((points, gates), dtype),
        jax.ShapeDtypeStruct((points,), dtype),
    )
    arguments = tuple(
        jax.tree.map(
            lambda a, place=place: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), tree
        )
        for tree, place in zip((per_point, shared), _places(mesh), strict=True)
    )
    lowered = _measure.lower(cell, steps, mesh, *arguments)
    executor = ThreadPoolExecutor(max_workers=1)
    future = executor.submit(lowered.compile)
    executor.shutdown(wait=False)
    return future


def _places(mesh: Mesh) -> tuple[NamedSharding, NamedSharding]:
    """Where what belongs to points lies, and what all points share."""
    return NamedSharding(mesh, PartitionSpec(AXIS)), NamedSharding(mesh, PartitionSpec())


def _spread(
    grid_chunk: GridChunk, draws: Draws, per_point: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[Any, Any]:
    """The arrays of `_measure` on all devices, from each point's place in `draws` and factors."""
    mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
    padded = _padded(grid_chunk, mesh.size)
    types = (np.dtype(np.int32), draws.xs.dtype, draws.xs.dtype)
    columns = tuple(
        np.resize(a, (padded, *a.shape[1:])).astype(dtype)
        for a, dtype in zip(per_point, types, strict=True)
    )
    shared = (draws.params, draws.xs, draws.readout)
    return tuple(map(jax.device_put, (columns, shared), _places(mesh)))


def _padded(grid_chunk: GridChunk, devices: int) -> int:
    """Points of a full grid chunk, and as many more as make equal groups for all devices."""
    full = len(grid_chunk.seeds) * len(grid_chunk.points)
    return devices * _rounds(full, devices) * _group(full, devices)


def _group(points: int, devices: int) -> int:
    """Points that run side by side on each device."""
    return -(-points // (devices * _rounds(points, devices)))


def _rounds(points: int, devices: int) -> int:
    """Groups that run one after the other on each device."""
    side_by_side = SIDE_BY_SIDE if jax.default_backend() == "cpu" else points
    return -(-points // (devices * side_by_side))


def _rescaled(leaves: RecurrentLeaves, params: Params, factors: Array) -> Params:
    """The parameters with each recurrent gate block multiplied by its factor, `[k]` in all."""
    scaled, first = [], 0
    for leaf in leaves.get(params):
        hidden, width = leaf.shape
        gates = factors[first : first + width // hidden]
        scaled.append(leaf * jnp.repeat(gates, hidden, total_repeat_length=width))
        first += width // hidden
    return leaves.replace(params, scaled)


@partial(quick.jit, static_argnums=(0, 1, 2))
def _measure(
    cell: Cell,
    lengths: tuple[int, ...],
    mesh: Mesh,
    per_point: tuple[Array, Array, Array],
    shared: tuple[Params, Array, Array],
) -> dict[str, Array]:
    """`gradient_norms` of many points; each device works through its own, nothing is exchanged."""
    group = _group(len(per_point[0]), mesh.size)

    def point(
        shared: tuple[Params, Array, Array], seed: Array, factors: Array, input_scale: Array
    ) -> dict[str, Array]:
        params, xs, readout = jax.tree.map(lambda a: a[seed], shared)
        params = _rescaled(recurrent_leaves(cell), params, factors)
        return gradient_norms(cell, params, xs * input_scale, readout, lengths)

    def points(per_point: tuple[Array, Array, Array], shared: tuple[Params, Array, Array]) -> Any:
        with precision.products():
            groups = jax.tree.map(
                lambda a: a.reshape(len(a) // group, group, *a.shape[1:]), per_point
            )
            norms = jax.lax.map(lambda each: jax.vmap(partial(point, shared))(*each), groups)
            return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), norms)

    return jax.shard_map(
        points,
        mesh=mesh,
        in_specs=(PartitionSpec(AXIS), PartitionSpec()),
        out_specs=PartitionSpec(AXIS),
        check_vma=False,  # nothing is exchanged, so there is nothing to check
    )(per_point, shared)
