"""Gradient of the loss with respect to the state at every step, for one cell."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from experiments.gradient_profiles.config import Config
from experiments.gradient_profiles.schema import PARTS
from rnnlab import cells, initializers
from rnnlab.arrays import Params
from rnnlab.cells import Cell
from rnnlab.gradients import adjoint_profile, with_recurrent_init
from rnnlab.gradients.parts import leaf_names


def make_cell(config: Config, name: str) -> Cell:
    """The cell; recurrent matrices are drawn by the initialiser and rescaled to the radius."""
    init = initializers.Rescaled(initializers.by_name(config.init), config.radius)
    return with_recurrent_init(cells.by_name(name, config.hidden), init)


def draw(config: Config, cell: Cell) -> tuple[Params, Array]:
    """Parameters, and inputs `[S, T, B, H]` that add noise of unit variance to every gate."""
    keys = jax.random.split(jax.random.key(config.seed), (2, config.seeds))
    params = jax.vmap(lambda key: cell.init(key, config.hidden, config.dtype))(keys[0])
    shape = (config.length, config.batch, config.hidden)
    return params, jax.vmap(lambda key: jax.random.normal(key, shape, config.dtype))(keys[1])


@partial(jax.jit, static_argnums=0)
def profiles(cell: Cell, params: Params, xs: Array) -> dict[str, Array]:
    """`log10 ‖∂L/∂s_t‖ [S, T+1, B]` of the joint state and of its parts h and c; one program."""

    def measure(params: Params, xs: Array) -> dict[str, Array]:
        names = leaf_names(cell.initial_state())
        parts = tuple(name for name in ("h", "c") if name in names)
        measured = adjoint_profile(cell, params, xs, parts=parts)
        return {"joint": measured.log10_joint, **measured.log10_parts}

    return jax.vmap(measure)(params, xs)


def measure_cell(config: Config, name: str) -> xr.Dataset:
    """The profiles of one cell: the mean of the logarithm over the batch, for every seed."""
    cell = make_cell(config, name)
    params, xs = draw(config, cell)
    measured = profiles(cell, params, jnp.asarray(config.input_scale, config.dtype) * xs)
    missing = np.full((config.seeds, config.length + 1), np.nan)
    logs = [np.asarray(measured[p]).mean(-1) if p in measured else missing for p in PARTS]
    start = np.median(logs[0][:, 0])
    return xr.Dataset(
        {"log10_norm": (("part", "seed", "steps_before_loss"), np.stack(logs)[..., ::-1])},
        attrs={"numbers": f"{name} log10‖∂L/∂s_0‖={start:.1f}"},
    )
