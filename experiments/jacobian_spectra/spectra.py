"""Singular values of ∂s_T/∂s_0 for linear networks and for cells, pooled over seeds."""

import dataclasses
import math
from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.typing import DTypeLike

from experiments.jacobian_spectra.config import Config
from experiments.jacobian_spectra.schema import ORTHOGONAL, PRODUCT
from rnnlab import cells, initializers
from rnnlab.arrays import Params, State
from rnnlab.cells import Cell, HiddenState
from rnnlab.gradients import state_jacobian, with_recurrent_init
from rnnlab.unroll import unroll

#: Steps that bring a driven network to a typical state before the Jacobian is measured.
WARM_UP = 100


@dataclasses.dataclass(frozen=True)
class MatrixProduct:
    """`h' = h @ W_t`: a linear network whose matrix is its input, `x_t [H * H]`; no parameters."""

    hidden: int

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws nothing."""
        del key, features_in, dtype
        return {}

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> HiddenState:
        """Zeros."""
        return HiddenState(jnp.zeros((*batch_shape, self.hidden), dtype))

    def step(self, params: Params, x: Array, state: HiddenState) -> tuple[HiddenState, Array]:
        """Multiplies by one more factor."""
        del params
        w = x.reshape(*x.shape[:-1], self.hidden, self.hidden)
        h = jnp.einsum("...i,...ij->...j", state.h, w)
        return HiddenState(h), h


def measure_linear(config: Config, kind: str, width: int) -> xr.Dataset:
    """`log10 σ` of linear networks: one orthogonal or Gaussian matrix, or independent ones."""
    init = initializers.by_name("orthogonal" if kind == ORTHOGONAL else "gaussian", config.gain)
    cell: Cell = (
        MatrixProduct(width) if kind == PRODUCT else cells.Elman(width, activation="identity")
    )
    measure = partial(_log10_sigma, cell, config.lengths)
    longest, state = config.lengths[-1], cell.initial_state((), config.dtype)

    def one(key: Array) -> Array:
        if kind == PRODUCT:
            factors = init(key, (longest * width, width), config.dtype) * math.sqrt(longest)
            return measure({}, factors.reshape(longest, width**2), state)
        params = {
            "wx": jnp.zeros((1, width), config.dtype),
            "wh": init(key, (width, width), config.dtype),
            "b": jnp.zeros((width,), config.dtype),
        }
        return measure(params, jnp.zeros((longest, 1), config.dtype), state)

    return _pool(f"{kind} N={width}", [one(key) for key in keys_of(config, width)])


def measure_cell(config: Config, name: str) -> xr.Dataset:
    """`log10 σ` of the joint state of a nonlinear cell driven by Gaussian noise."""
    init = initializers.Orthogonal(config.gain)
    cell = with_recurrent_init(cells.by_name(name, config.hidden), init)
    steps = WARM_UP + config.lengths[-1]

    warm_up = jax.jit(partial(unroll, cell))

    def one(key: Array) -> Array:
        key_params, key_inputs = jax.random.split(key)
        params = cell.init(key_params, config.hidden, config.dtype)
        xs = config.input_scale * jax.random.normal(
            key_inputs, (steps, config.hidden), config.dtype
        )
        state, _ = warm_up(params, xs[:WARM_UP])
        return _log10_sigma(cell, config.lengths, params, xs[WARM_UP:], state)

    return _pool(name, [one(key) for key in keys_of(config, config.hidden)])


def keys_of(config: Config, width: int) -> Iterator[Array]:
    """A key for every network of a width."""
    key = jax.random.fold_in(jax.random.key(config.seed), width)
    return iter(jax.random.split(key, config.seeds))


def _log10_sigma(
    cell: Cell, lengths: tuple[int, ...], params: Params, xs: Array, state: State
) -> Array:
    """`log10 σ [n, m]` of ∂s_T/∂s_0, descending."""
    return state_jacobian(cell, params, xs, state, lengths=lengths).log10_singular_values


def _pool(name: str, networks: list[Array]) -> xr.Dataset:
    values = np.stack([np.asarray(network) for network in networks])
    numbers = f"{name} largest log10 σ={np.median(values[:, -1, 0]):.2f} at the last T"
    return xr.Dataset(
        {"log10_sigma": (("seed", "length", "index"), values)}, attrs={"numbers": numbers}
    )
