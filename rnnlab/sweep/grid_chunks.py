"""The grid chunks of a grid: how they are cut, and how one of them is measured.

A grid chunk is made of points of one program that are not measured yet. A device works through its
points in groups of a fixed size, each one call of a program that is compiled once; so what is
measured of a point has the same bits whatever points are measured beside it, before it or after
it. A sweep that continues, and one that is extended, ends with the bits of one that ran in one go.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnlab import precision
from rnnlab.arrays import Array, Float, Params
from rnnlab.gradients.recurrent import RecurrentLeaves, recurrent_leaves
from rnnlab.layer import Cell, output_size
from rnnlab.sweep import quick
from rnnlab.sweep.draws import Draws, InputTexts, draw, features_in
from rnnlab.sweep.grid import Grid, Point, Program
from rnnlab.sweep.kernel import TIME_BLOCK, gradient_norms, quick_gradient_norms
from rnnlab.tracing import trace

#: Name of the axis over which points are spread.
AXIS = "points"

#: Points that run side by side on one CPU device: more of them fall out of its caches.
SIDE_BY_SIDE = 2

#: What was measured of the points of a grid chunk, by name; the first axis is that of the points.
Values = dict[str, Float[np.ndarray, "n ..."]]


@dataclasses.dataclass(frozen=True)
class GridChunk:
    """Some points of one program.

    Attributes:
      program: the program.
      key: what tells its points from those of other programs, the same in every process.
      points: the points, seed by seed.
      side_by_side: how many of them run at the same time on each device.
    """

    program: Program
    key: str
    points: tuple[Point, ...]
    side_by_side: int

    @property
    def name(self) -> str:
        """A name for a file."""
        contents = repr((self.key, tuple(map(tuple, self.points))))
        seeds = f"{self.points[0].seed:04d}-{self.points[-1].seed:04d}"
        return f"seeds-{seeds}-{hashlib.sha256(contents.encode()).hexdigest()[:20]}"

    @property
    def seeds(self) -> list[int]:
        """The seeds of its points, ascending."""
        return sorted({point.seed for point in self.points})


def cut(
    grid: Grid,
    program: Program,
    points: Sequence[Point],
    memory: float,
    input_texts: InputTexts,
) -> list[GridChunk]:
    """Grid chunks of points of one program, none of which takes more than `memory` bytes.

    A grid chunk has at least one point, even where that is too large. It holds whole seeds, or a
    part of the points of one seed where all of them do not fit.
    """
    size = bytes_per_point(grid, program, features_in(grid, program, input_texts))
    most = max(1, int(memory // size))
    key = key_of(program, input_texts)
    by_seed: dict[int, list[Point]] = {}
    for point in points:
        by_seed.setdefault(point.seed, []).append(point)
    if not by_seed:
        return []
    longest = max(map(len, by_seed.values()))
    if longest > most:
        parts = [part for own in by_seed.values() for part in _even_parts(own, most)]
    else:
        groups = _even_parts(list(by_seed.values()), most // longest)
        parts = [[point for own in group for point in own] for group in groups]
    beside = _side_by_side(most, max(map(len, parts)))
    return [GridChunk(program, key, tuple(part), beside) for part in parts]


def key_of(program: Program, input_texts: InputTexts) -> str:
    """What tells the points of a program from those of others: weights, size, inputs."""
    inputs = program.inputs
    if inputs not in ("zeros", "gaussian"):
        text = input_texts.read(inputs)[0]
        inputs = f"text {hashlib.sha256(text.encode()).hexdigest()}"
    return f"{program.description} H={program.hidden} {inputs}"


def _side_by_side(most: int, points: int) -> int:
    """Points that run at the same time on each device; on the CPU as the memory allows alone."""
    if jax.default_backend() == "cpu":
        return min(SIDE_BY_SIDE, most)
    return -(-points // jax.local_device_count())


def _even_parts(values: list[Any], most: int) -> Iterator[list[Any]]:
    """Cuts a list into parts of at most `most`, as equal as can be."""
    count = -(-len(values) // most)
    for part in range(count):
        yield values[len(values) * part // count : len(values) * (part + 1) // count]


def bytes_per_point(grid: Grid, program: Program, features: int) -> int:
    """Memory that XLA takes for a point while it is measured: on the CPU to within a half.

    On a GPU it takes down to half of that, as it reuses more buffers.

    That is the inputs and the states of all steps; and, as they were and as they become, for each
    length the adjoint, the gradient of the recurrent weights and a time block of the adjoints of
    the products, and what a time block takes besides.
    """
    cell = program.network
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


class Points(NamedTuple):
    """Networks that are measured by one call, with their inputs; `P` points, `k` gates.

    Attributes:
      params: parameters as drawn, leaves `[P, ...]`.
      factors: of each gate's recurrent matrix, `[P, k]`.
      xs: inputs before scaling, `[P, T, B, D]`.
      input_scale: their factor, `[P]`.
      readout: random unit vectors, `[P, B, H]`.
    """

    params: Params
    factors: Float[Array, "P k"]
    xs: Float[Array, "P T B D"]
    input_scale: Float[Array, "P"]
    readout: Float[Array, "P B H"]


def measure(grid: Grid, grid_chunk: GridChunk, input_texts: InputTexts) -> Values:
    """Measures the points of a grid chunk, spread over all devices of this host.

    Returns:
      For each of the `n` points: what `gradient_norms` returns, `[n, lengths]`, NaN where the
      network's state leaves the range of the dtype; `spectral_radius` and `sigma_max` of the `k`
      recurrent matrices, `[n, k]`; `input_std` `[n]`.
    """
    compiling = _start_compiling(grid, grid_chunk, input_texts)  # while the networks are drawn
    seeds = grid_chunk.seeds
    draws = draw(grid, grid_chunk.program, np.array(seeds), input_texts)
    place = np.array([seeds.index(point.seed) for point in grid_chunk.points])
    input_scale = np.array([point.input_scale for point in grid_chunk.points])
    factor = np.array([[point.scale] for point in grid_chunk.points])
    if grid.scale == "radius":
        factor = factor / draws.spectral_radius[place]
    factor = np.broadcast_to(factor, (len(place), draws.spectral_radius.shape[-1]))
    program = _program(grid, grid_chunk)
    compiling.result()
    calls = [
        _measured(*program, points)
        for points in _calls(grid_chunk, draws, place, factor, input_scale)
    ]
    norms = {
        name: np.concatenate([call[name] for call in calls])[: len(place)] for name in calls[0]
    }
    return _without_overflow(norms) | {
        "spectral_radius": factor * draws.spectral_radius[place],
        "sigma_max": factor * draws.sigma_max[place],
        "input_std": input_scale * draws.input_std[place],
    }


def _calls(
    grid_chunk: GridChunk,
    draws: Draws,
    place: np.ndarray,
    factor: np.ndarray,
    input_scale: np.ndarray,
) -> Iterator[Points]:
    """The points of each call on all devices; the last call is filled up by repetition."""
    mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
    width = mesh.size * grid_chunk.side_by_side
    dtype = draws.xs.dtype
    for first in range(0, len(place), width):
        these = np.resize(np.arange(first, min(first + width, len(place))), width)
        seed = place[these]
        arrays = (
            jax.tree.map(lambda a, seed=seed: a[seed], draws.params),
            factor[these].astype(dtype),
            draws.xs[seed],
            input_scale[these].astype(dtype),
            draws.readout[seed],
        )
        yield Points(*jax.device_put(arrays, NamedSharding(mesh, PartitionSpec(AXIS))))


def _without_overflow(norms: Values) -> Values:
    """Leaves NaN in all norms of a point and length where one of them is NaN or inf.

    After an overflow of the state some may look sound, such as the zero that a ReLU makes of NaN.
    """
    lost = np.any([np.isnan(value) | (value == np.inf) for value in norms.values()], axis=0)
    return {name: np.where(lost, np.nan, value) for name, value in norms.items()}


def _program(grid: Grid, grid_chunk: GridChunk) -> tuple[Cell, tuple[int, ...], Mesh]:
    """What `_measure` is compiled for, shapes aside."""
    mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
    return grid_chunk.program.network, grid.sorted_lengths, mesh


def _start_compiling(grid: Grid, grid_chunk: GridChunk, input_texts: InputTexts) -> Future[Any]:
    """Compiles `_measure` for a grid chunk in a thread of its own."""
    cell, steps, mesh = _program(grid, grid_chunk)
    dtype = jnp.dtype(grid.dtype)
    features = features_in(grid, grid_chunk.program, input_texts)
    width = mesh.size * grid_chunk.side_by_side

    def points() -> Points:
        params = cell.init(jax.random.key(0), features, dtype)
        return Points(
            params=jax.tree.map(lambda a: jnp.stack([a] * width), params),
            factors=jnp.zeros((width, len(recurrent_leaves(cell).gates)), dtype),
            xs=jnp.zeros((width, steps[-1], grid.batch, features), dtype),
            input_scale=jnp.zeros((width,), dtype),
            readout=jnp.zeros((width, grid.batch, output_size(cell) or 0), dtype),
        )

    place = NamedSharding(mesh, PartitionSpec(AXIS))
    arguments = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), jax.eval_shape(points)
    )
    lowered = _measure.lower(cell, steps, mesh, quick_gradient_norms, arguments)
    executor = ThreadPoolExecutor(max_workers=1)
    future = executor.submit(lowered.compile)
    executor.shutdown(wait=False)
    return future


def _rescaled(leaves: RecurrentLeaves, params: Params, factors: Array) -> Params:
    """The parameters with each recurrent gate block multiplied by its factor, `[k]` in all."""
    scaled, first = [], 0
    for leaf in leaves.get(params):
        hidden, width = leaf.shape
        gates = factors[first : first + width // hidden]
        scaled.append(leaf * jnp.repeat(gates, hidden, total_repeat_length=width))
        first += width // hidden
    return leaves.replace(params, scaled)


def _measured(cell: Cell, lengths: tuple[int, ...], mesh: Mesh, points: Points) -> Values:
    """`gradient_norms` of some points.

    Those whose adjoints may have left the range of the dtype are measured again with care, by
    another program; it is compiled where one is needed. The others keep what they have.
    """
    norms, left = jax.tree.map(
        np.asarray, _measure(cell, lengths, mesh, quick_gradient_norms, points)
    )
    if not left.any():
        return norms
    careful = _measure(cell, lengths, mesh, gradient_norms, points)
    return {
        name: np.where(left[:, None], np.asarray(careful[name]), value)
        for name, value in norms.items()
    }


@partial(quick.jit, static_argnums=(0, 1, 2, 3))
def _measure(
    cell: Cell, lengths: tuple[int, ...], mesh: Mesh, norms: Callable[..., Any], points: Points
) -> Any:
    """What `norms` gives of some points; each device takes its own, nothing is exchanged."""

    def one(point: Points) -> Any:
        params = _rescaled(recurrent_leaves(cell), point.params, point.factors)
        return norms(cell, params, point.xs * point.input_scale, point.readout, lengths)

    def own(points: Points) -> Any:
        with precision.products():
            return jax.vmap(one)(points)

    return jax.shard_map(
        own,
        mesh=mesh,
        in_specs=PartitionSpec(AXIS),
        out_specs=PartitionSpec(AXIS),
        check_vma=False,  # nothing is exchanged, so there is nothing to check
    )(points)
