"""What the points of one program are made of: weights and their measured radii, inputs, readout.

One seed draws one network, its inputs and its readout; radii and input scales are factors applied
to them, so that points that differ in nothing else share their random numbers.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab import cells, initializers
from rnnlab.cells.base import Array, Cell, Params
from rnnlab.data.text import Vocabulary, load_text, one_hot_windows
from rnnlab.errors import UsageError
from rnnlab.sweep.grid import Grid, Program


class Draws(NamedTuple):
    """All that the points of one program are made of; `S` seeds, `k` gates.

    Attributes:
      cell: the cell of this program.
      params: its parameters as drawn, leaves `[S, ...]`.
      xs: inputs before scaling, `[S, T, B, D]`.
      readout: random unit vectors, `[S, B, H]`.
      gates: names of the recurrent matrices.
      spectral_radius: measured for the matrices as drawn, `[S, k]`.
      sigma_max: likewise the largest singular value, `[S, k]`.
      input_std: standard deviation of `x @ wx` before scaling, over everything, `[S]`.
    """

    cell: Cell
    params: Params
    xs: Array
    readout: Array
    gates: tuple[str, ...]
    spectral_radius: np.ndarray
    sigma_max: np.ndarray
    input_std: np.ndarray

    def factors(self, grid: Grid) -> np.ndarray:
        """Factor of each gate's matrix for every radius or gain and seed, `[scales, S, k]`."""
        scales = np.asarray(grid.scales, float)[:, None, None]
        if grid.scale == "gain":
            return np.broadcast_to(scales, (len(grid.scales), *self.spectral_radius.shape))
        return scales / self.spectral_radius


def draw(
    grid: Grid, program: Program, data_dir: str | None = None, manual_dir: str | None = None
) -> Draws:
    """Draws what `program` needs, the same bits for the same grid."""
    dtype = jnp.dtype(grid.dtype)
    init = initializers.by_name(program.init)
    cell = dataclasses.replace(cells.by_name(program.cell, program.hidden), wh_init=init)
    keys = jax.vmap(jax.random.key)(jnp.arange(grid.seeds, dtype=jnp.uint32))
    key_params, key_inputs, key_readout = (
        jax.vmap(lambda key, i=i: jax.random.fold_in(key, i))(keys) for i in range(3)
    )
    xs = _inputs(grid, program, key_inputs, dtype, data_dir, manual_dir)
    params = jax.jit(jax.vmap(lambda key: cell.init(key, xs.shape[-1], dtype)))(key_params)
    readout = jax.vmap(lambda key: jax.random.normal(key, (grid.batch, cell.features_out), dtype))(
        key_readout
    )
    readout = readout / jnp.linalg.norm(readout, axis=-1, keepdims=True)
    gates, radius, sigma_max = _measure(cell, params, grid.seeds)
    if grid.scale == "radius" and np.any(radius == 0):
        raise UsageError(
            f"init={program.init!r}: drew a recurrent matrix of spectral radius 0, which cannot be "
            "rescaled; choose another, or scale='gain'"
        )
    return Draws(
        cell, params, xs, readout, gates, radius, sigma_max, _input_std(params["wx"], xs)
    )


def _inputs(
    grid: Grid,
    program: Program,
    keys: Array,
    dtype: np.dtype,
    data_dir: str | None,
    manual_dir: str | None,
) -> Array:
    """Inputs `[S, T, B, D]` before scaling."""
    steps, batch = grid.steps[-1], grid.batch
    if program.inputs == "zeros":
        return jnp.zeros((grid.seeds, steps, batch, grid.features or 1), dtype)
    if program.inputs == "gaussian":
        shape = (steps, batch, grid.features or program.hidden)
        return jax.vmap(lambda key: jax.random.normal(key, shape, dtype))(keys)
    if grid.features is not None:
        raise UsageError(
            f"features={grid.features}: inputs={program.inputs!r} have as many features as the "
            "text has characters; leave it unset"
        )
    text, vocabulary = _text(program.inputs, data_dir, manual_dir)
    return jax.vmap(lambda key: one_hot_windows(text, key, steps, batch, vocabulary, dtype))(keys)


@lru_cache(maxsize=1)
def _text(name: str, data_dir: str | None, manual_dir: str | None) -> tuple[str, Vocabulary]:
    text = load_text(name, data_dir=data_dir, manual_dir=manual_dir)
    return text, Vocabulary.of(text)


def _measure(
    cell: Cell, params: Params, seeds: int
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Spectral radius and σ_max of each gate's recurrent matrix, in float64."""
    if "wh" not in params:
        return (), np.zeros((seeds, 0)), np.zeros((seeds, 0))
    blocks = np.asarray(initializers.gate_blocks(params["wh"]), np.float64)
    radius = np.abs(np.linalg.eigvals(blocks)).max(-1)
    return cell.recurrent_blocks, radius, np.linalg.norm(blocks, 2, axis=(-2, -1))


@jax.jit
def _input_std(wx: Array, xs: Array) -> Array:
    """Standard deviation over time, batch and units, `[S]`, without forming all of `x @ wx`."""
    flat = xs.reshape(xs.shape[0], -1, xs.shape[-1])
    second = jnp.einsum("snd,sne->sde", flat, flat) / flat.shape[1]
    mean = jnp.mean(flat, axis=1)
    square = jnp.einsum("sdk,sde,sek->sk", wx, second, wx)
    return jnp.sqrt(jnp.mean(square - jnp.einsum("sd,sdk->sk", mean, wx) ** 2, axis=-1))
