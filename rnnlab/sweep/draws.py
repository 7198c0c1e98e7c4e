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

from rnnlab import initializers, precision
from rnnlab.arrays import Array, Float, Int, Params
from rnnlab.data.text import Vocabulary, load_text, one_hot_windows
from rnnlab.errors import UsageError
from rnnlab.gradients.recurrent import recurrent_leaves, with_recurrent_init
from rnnlab.layer import Cell, output_size
from rnnlab.sweep import quick
from rnnlab.sweep.axes import label_of
from rnnlab.sweep.grid import Grid, Program


class Draws(NamedTuple):
    """All that points of one program are made of; `S` seeds, `k` gates.

    Attributes:
      params: parameters of the cell as drawn, leaves `[S, ...]`, in host memory like all others.
      xs: inputs before scaling, `[S, T, B, D]`.
      readout: random unit vectors, `[S, B, H]`.
      spectral_radius: measured for each gate's recurrent matrix as drawn, `[S, k]`.
      sigma_max: likewise the largest singular value, `[S, k]`.
      input_std: standard deviation of `x @ wx` before scaling, over time, batch and units, `[S]`.
    """

    params: Params
    xs: Float[np.ndarray, "S T B D"]
    readout: Float[np.ndarray, "S B H"]
    spectral_radius: Float[np.ndarray, "S k"]
    sigma_max: Float[np.ndarray, "S k"]
    input_std: Float[np.ndarray, "S"]


class InputTexts:
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


def features_in(grid: Grid, program: Program, input_texts: InputTexts) -> int:
    """Number of inputs `D` of the network.

    Raises:
      UsageError: `grid.features` set for a text, or a text shorter than the longest length.
      RunError: a text that cannot be loaded.
    """
    if program.inputs == "zeros":
        return grid.features or 1
    if program.inputs == "gaussian":
        return grid.features or program.hidden
    text, vocabulary = input_texts.read(program.inputs)
    if grid.features is not None:
        raise UsageError(
            f"features={grid.features}: inputs={program.inputs!r} have as many features as the "
            f"text has characters, {vocabulary.size}; leave it unset"
        )
    if len(text) < grid.sorted_lengths[-1]:
        raise UsageError(
            f"lengths={grid.sorted_lengths[-1]}: the training part of inputs={program.inputs!r} "
            f"has only {len(text)} characters; take a longer text or shorter lengths"
        )
    return vocabulary.size


def draw(
    grid: Grid, program: Program, seeds: Int[np.ndarray, "S"], input_texts: InputTexts
) -> Draws:
    """Draws what `program` needs for `seeds [S]`; the others do not change the bits of a seed.

    Raises:
      UsageError: a matrix of spectral radius 0 is to be rescaled.
    """
    dtype = jnp.dtype(grid.dtype)
    cell = with_recurrent_init(program.network, program.initializer)
    features = features_in(grid, program, input_texts)
    shape = (grid.sorted_lengths[-1], grid.batch, features)
    # One seed after the other: mapped over the seeds, the QR decompositions of several gates would
    # be batches that run at the same time, and in JAX 0.10 such batches can wait for each other's
    # threads forever.
    drawn = []
    for seed in seeds:
        given = _given_inputs(program.inputs, shape, dtype, seed, input_texts)
        drawn.append(jax.tree.map(np.asarray, _draw(cell, shape, dtype, np.uint32(seed), given)))
    params, xs, readout, input_std = jax.tree.map(lambda *leaves: np.stack(leaves), *drawn)
    radius, sigma_max = _measure(recurrent_leaves(cell).get(params), len(seeds))
    if grid.scale == "radius" and np.any(radius == 0):
        raise UsageError(
            f"init={label_of(program.init)!r}: drew a recurrent matrix of spectral radius 0, which "
            "cannot be rescaled; choose another, or scale='gain'"
        )
    return Draws(params, xs, readout, radius, sigma_max, input_std.astype(np.float64))


def _keys(seed: Array | int) -> list[Array]:
    """For parameters, inputs and readout."""
    key = jax.random.key(seed)
    return [jax.random.fold_in(key, i) for i in range(3)]


def _given_inputs(
    inputs: str, shape: tuple[int, int, int], dtype: np.dtype, seed: int, input_texts: InputTexts
) -> Array | None:
    """Inputs `[T, B, D]` of a seed that are not drawn from a distribution."""
    if inputs == "gaussian":
        return None
    if inputs == "zeros":
        return jnp.zeros(shape, dtype)
    text, vocabulary = input_texts.read(inputs)
    steps, batch, _ = shape
    return one_hot_windows(text, _keys(seed)[1], steps, batch, vocabulary, dtype)


@partial(quick.jit, static_argnums=(0, 1, 2))
def _draw(
    cell: Cell,
    shape: tuple[int, int, int],
    dtype: np.dtype,
    seed: Array,
    given: Array | None,
) -> tuple[Params, Array, Array, Array]:
    """Parameters, inputs `[T, B, D]`, readout `[B, H]` and `input_std` of a seed."""
    key_params, key_inputs, key_readout = _keys(seed)
    params = cell.init(key_params, shape[-1], dtype)
    xs = jax.random.normal(key_inputs, shape, dtype) if given is None else given
    readout = jax.random.normal(key_readout, (shape[1], output_size(cell) or 0), dtype)
    readout /= jnp.linalg.norm(readout, axis=-1, keepdims=True)
    wx = params.get("wx") if isinstance(params, dict) else None
    input_std = jnp.full((), jnp.nan, dtype) if wx is None else _input_std(wx, xs)
    return params, xs, readout, input_std


def _measure(weights: tuple[Array, ...], seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Spectral radius and σ_max of each gate's recurrent matrix, `[S, k]`, in float64."""
    if not weights:
        return np.zeros((seeds, 0)), np.zeros((seeds, 0))
    blocks = np.concatenate(
        [np.asarray(initializers.gate_blocks(leaf), np.float64) for leaf in weights], axis=-3
    )
    radius = np.abs(np.linalg.eigvals(blocks)).max(-1)
    return radius, np.linalg.norm(blocks, 2, axis=(-2, -1))


def _input_std(wx: Array, xs: Array) -> Array:
    """Standard deviation over time, batch and units, without forming all of `x @ wx`.

    Each unit has a mean of its own: what varies between units only is a bias, not an input.
    """
    with precision.products():
        flat = xs.reshape(-1, xs.shape[-1])
        second = flat.T @ flat / len(flat)
        mean = jnp.mean(flat, axis=0) @ wx
        variance = jnp.sum(wx * (second @ wx), axis=0) - mean**2
        return jnp.sqrt(jnp.mean(jnp.maximum(variance, 0)))  # rounding may leave one below 0
