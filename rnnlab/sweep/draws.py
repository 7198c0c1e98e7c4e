"""What points are made of: weights and their measured radii, inputs, readout.

One seed draws one network, its inputs and its readout; radii and input scales are factors applied
to them, so that points that differ in nothing else share their random numbers.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab import cells, initializers
from rnnlab.cells.base import Array, Cell, Params
from rnnlab.data.text import Vocabulary, load_text, one_hot_windows
from rnnlab.errors import UsageError
from rnnlab.sweep import quick
from rnnlab.sweep.grid import Grid, Program


class Draws(NamedTuple):
    """All that points of one program are made of; `S` seeds, `k` gates.

    Attributes:
      params: parameters of the cell as drawn, leaves `[S, ...]`.
      xs: inputs before scaling, `[S, T, B, D]`.
      readout: random unit vectors, `[S, B, H]`.
      spectral_radius: measured for each gate's recurrent matrix as drawn, `[S, k]`.
      sigma_max: likewise the largest singular value, `[S, k]`.
      input_std: standard deviation of `x @ wx` before scaling, over time, batch and units, `[S]`.
    """

    params: Params
    xs: Array
    readout: Array
    spectral_radius: np.ndarray
    sigma_max: np.ndarray
    input_std: np.ndarray


class Corpora:
    """The texts that inputs are read from, each loaded once.

    Args:
      data_dir: where TFDS keeps data.
      manual_dir: where the original files of a data set lie, if they are not downloaded.
    """

    def __init__(self, data_dir: str | None = None, manual_dir: str | None = None) -> None:
        self._load = partial(load_text, data_dir=data_dir, manual_dir=manual_dir)
        self._texts: dict[str, tuple[str, Vocabulary]] = {}

    def read(self, name: str) -> tuple[str, Vocabulary]:
        """The text called `name` and its characters."""
        if name not in self._texts:
            text = self._load(name)
            self._texts[name] = text, Vocabulary.of(text)
        return self._texts[name]


def features_in(grid: Grid, program: Program, corpora: Corpora) -> int:
    """Number of inputs `D` of the network.

    Raises:
      UsageError: `grid.features` set for a text, or a text shorter than the longest length.
      RunError: a text that cannot be had.
    """
    if program.inputs == "zeros":
        return grid.features or 1
    if program.inputs == "gaussian":
        return grid.features or program.hidden
    text, vocabulary = corpora.read(program.inputs)
    if grid.features is not None:
        raise UsageError(
            f"features={grid.features}: inputs={program.inputs!r} have as many features as the "
            f"text has characters, {vocabulary.size}; leave it unset"
        )
    if len(text) < grid.steps[-1]:
        raise UsageError(
            f"lengths={grid.steps[-1]}: the training part of inputs={program.inputs!r} has only "
            f"{len(text)} characters; take a longer text or shorter lengths"
        )
    return vocabulary.size


def draw(grid: Grid, program: Program, seeds: np.ndarray, corpora: Corpora) -> Draws:
    """Draws what `program` needs for `seeds [S]`; a seed gives the same bits in any company.

    Raises:
      UsageError: a matrix of spectral radius 0 is to be rescaled.
    """
    dtype = jnp.dtype(grid.dtype)
    cell = cells.by_name(program.cell, program.hidden, wh_init=initializers.by_name(program.init))
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds, jnp.uint32))
    key_params, key_inputs, key_readout = (
        jax.vmap(lambda key, i=i: jax.random.fold_in(key, i))(keys) for i in range(3)
    )
    features = features_in(grid, program, corpora)
    xs = _inputs(grid, program, features, key_inputs, corpora)
    params = _params(cell, features, dtype, key_params)
    radius, sigma_max = _measure(params, len(seeds))
    if grid.scale == "radius" and np.any(radius == 0):
        raise UsageError(
            f"init={program.init!r}: drew a recurrent matrix of spectral radius 0, which cannot be "
            "rescaled; choose another, or scale='gain'"
        )
    readout = _readout((grid.batch, cell.features_out), dtype, key_readout)
    input_std = np.asarray(_input_std(params["wx"], xs), np.float64)
    return Draws(params, xs, readout, radius, sigma_max, input_std)


def _inputs(grid: Grid, program: Program, features: int, keys: Array, corpora: Corpora) -> Array:
    """Inputs `[S, T, B, D]` before scaling."""
    dtype = jnp.dtype(grid.dtype)
    steps, batch = grid.steps[-1], grid.batch
    if program.inputs == "zeros":
        return jnp.zeros((len(keys), steps, batch, features), dtype)
    if program.inputs == "gaussian":
        return _gaussian((steps, batch, features), dtype, keys)
    text, vocabulary = corpora.read(program.inputs)
    return jax.vmap(lambda key: one_hot_windows(text, key, steps, batch, vocabulary, dtype))(keys)


def _params(cell: Cell, features: int, dtype: np.dtype, keys: Array) -> Params:
    """Parameters of each seed, leaves `[S, ...]`, drawn one after the other.

    Mapped over the seeds, the QR decompositions of several gates would be batches that run at the
    same time, and in JAX 0.10 such batches can wait for each other's threads for ever.
    """
    return jax.tree.map(
        lambda *leaves: jnp.stack(leaves), *(_init(cell, features, dtype, key) for key in keys)
    )


@partial(quick.jit, static_argnums=(0, 1, 2))
def _init(cell: Cell, features: int, dtype: np.dtype, key: Array) -> Params:
    return cell.init(key, features, dtype)


@partial(quick.jit, static_argnums=(0, 1))
def _gaussian(shape: tuple[int, ...], dtype: np.dtype, keys: Array) -> Array:
    return jax.vmap(lambda key: jax.random.normal(key, shape, dtype))(keys)


@partial(quick.jit, static_argnums=(0, 1))
def _readout(shape: tuple[int, ...], dtype: np.dtype, keys: Array) -> Array:
    vectors = jax.vmap(lambda key: jax.random.normal(key, shape, dtype))(keys)
    return vectors / jnp.linalg.norm(vectors, axis=-1, keepdims=True)


def _measure(params: Params, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Spectral radius and σ_max of each gate's recurrent matrix, `[S, k]`, in float64."""
    if "wh" not in params:
        return np.zeros((seeds, 0)), np.zeros((seeds, 0))
    blocks = np.asarray(initializers.gate_blocks(params["wh"]), np.float64)
    radius = np.abs(np.linalg.eigvals(blocks)).max(-1)
    return radius, np.linalg.norm(blocks, 2, axis=(-2, -1))


@quick.jit
def _input_std(wx: Array, xs: Array) -> Array:
    """Standard deviation over time, batch and units, `[S]`, without forming all of `x @ wx`.

    Each unit has a mean of its own: what varies between units only is a bias, not an input.
    """
    with jax.default_matmul_precision("highest"):
        flat = xs.reshape(xs.shape[0], -1, xs.shape[-1])
        second = jnp.einsum("snd,sne->sde", flat, flat) / flat.shape[1]
        square = jnp.einsum("sdk,sde,sek->sk", wx, second, wx)
        mean = jnp.einsum("sd,sdk->sk", jnp.mean(flat, axis=1), wx)
        variance = jnp.maximum(square - mean**2, 0)  # rounding may leave a constant input below 0
        return jnp.sqrt(jnp.mean(variance, axis=-1))
