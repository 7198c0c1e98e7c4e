"""Growth of the gradient with respect to c of an LSTM, against its forget bias."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from experiments.gradient_profiles.config import Config
from experiments.gradient_profiles.growth import growth_per_step
from experiments.gradient_profiles.profiles import draw, make_cell, profiles
from rnnlab.cells import StandardCell
from rnnlab.cells.base import set_gate


def measure_forgetting(config: Config, name: str) -> xr.Dataset:
    """Growth of the gradient with respect to c per step, for every radius, forget bias and seed."""
    cell = make_cell(config, name)
    assert isinstance(cell, StandardCell)  # as all cells with a forget bias are
    params, xs = draw(config, cell)
    scale = partial(jnp.asarray, dtype=config.dtype)
    xs = scale(config.forget_input_scale) * xs[:, :, :1]  # one sequence for each network
    growth = np.empty((len(config.forget_radii), len(config.forget_biases), config.seeds))
    for place in np.ndindex(growth.shape[:2]):
        radius, bias = config.forget_radii[place[0]], config.forget_biases[place[1]]
        changed = params | {"b": set_forget_bias(cell, params["b"], bias)}
        for matrix in {"wh", "wg"} & params.keys():
            changed[matrix] = scale(radius / config.radius) * params[matrix]
        log10_c = np.asarray(profiles(cell, changed, xs)["c"]).mean(-1)[:, ::-1]
        growth[place] = growth_per_step(log10_c)
    return xr.Dataset(
        {"forget_growth": (("forget_radius", "forget_bias", "seed"), growth)},
        attrs={"numbers": f"forget bias of {name}"},
    )


def set_forget_bias(cell: StandardCell, b: Array, bias: float) -> Array:
    """Biases `b [S, kH]` with another forget bias.

    Where the forget gate is 1 − i, the bias of the input gate is set: 1 − σ(−bias) = σ(bias).
    """
    gate, value = ("f", bias) if "f" in cell.gate_names else ("i", -bias)
    return jax.vmap(lambda each: set_gate(cell, each, gate, value))(b)
