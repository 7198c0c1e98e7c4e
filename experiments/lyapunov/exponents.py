"""Lyapunov exponents of many networks of one cell, side by side."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from experiments.lyapunov.config import Config
from rnnlab import cells, initializers
from rnnlab.arrays import Params, State
from rnnlab.cells import Cell
from rnnlab.gradients import (
    lyapunov_exponents,
    recurrent_leaves,
    recurrent_matrices,
    with_recurrent_init,
)
from rnnlab.gradients.parts import leaf_names

#: Points at which the running estimate is read.
RECORDS = 30

#: Parameters, inputs and first states of several networks, whose number is the leading axis.
Networks = tuple[Params, Array, State]


def measure_width(config: Config, width: int) -> xr.Dataset:
    """Largest exponent of tanh networks of one width, for every input, gain and seed."""
    cell = cells.Elman(width, wx_init=initializers.Identity(), wh_init=initializers.Gaussian())
    networks = draw_networks(config, cell, width, config.seeds, config.steps)
    measure = over_networks(config, cell, config.gains, (config.steps,), count=1)
    exponents = np.stack([measure(networks, std)[-1, ..., 0] for std in config.input_stds])
    radius = recurrent_matrices(cell, networks[0])["h"].spectral_radius
    return xr.Dataset(
        {
            "exponent": (("input_std", "seed", "gain"), exponents),
            "log_radius": ("seed", np.log(radius)),
        },
        attrs={"numbers": f"N={width} λ={exponents.mean((0, 1))[-1]:.4f} at the last gain"},
    )


def measure_spectrum(config: Config, name: str) -> xr.Dataset:
    """Whole spectrum of one cell for every gain and seed, and the running largest exponent."""
    cell = with_recurrent_init(cells.by_name(name, config.spectrum_hidden), initializers.Gaussian())
    networks = draw_networks(
        config, cell, config.spectrum_hidden, config.spectrum_seeds, config.spectrum_steps
    )
    records = records_of(config.spectrum_steps, config.discard)
    measure = over_networks(config, cell, config.spectrum_gains, records)
    running = measure(networks, config.spectrum_input_std)
    return xr.Dataset(
        {
            "spectrum": (("spectrum_seed", "spectrum_gain", "index"), running[-1]),
            "running": (("step", "spectrum_seed", "spectrum_gain"), running[..., 0]),
        },
        attrs={"numbers": f"{name} λ1={running[-1, ..., 0].mean(0)[-1]:.4f} at the last gain"},
    )


def draw_networks(config: Config, cell: Cell, hidden: int, seeds: int, steps: int) -> Networks:
    """Parameters, inputs of unit variance `[S, T, N]` and random first states of S networks."""
    key = jax.random.fold_in(jax.random.key(config.seed), hidden)
    keys = jax.random.split(key, (seeds, 2))
    params = jax.vmap(lambda key: cell.init(key, hidden, config.dtype))(keys[:, 0])
    shape = (steps + 1, hidden)
    noise = jax.vmap(lambda key: jax.random.normal(key, shape, config.dtype))(keys[:, 1])
    states = cell.initial_state((seeds,), config.dtype)
    leaves, tree = jax.tree.flatten(states)
    names = leaf_names(states)
    leaves[names.index("h") if "h" in names else -1] = noise[:, 0]
    return params, noise[:, 1:], jax.tree.unflatten(tree, leaves)


def over_networks(
    config: Config,
    cell: Cell,
    gains: tuple[float, ...],
    records: tuple[int, ...],
    count: int | None = None,
) -> Callable[[Networks, float], np.ndarray]:
    """A compiled function `(networks, input_std) -> [n, S, G, k]` for one cell and several gains.

    Args:
        config: the settings.
        cell: the cell of all networks.
        gains: factors of the recurrent matrices, `G` of them.
        records: the `n` steps at which the running estimates are read.
        count: how many exponents `k`, the largest first; None for all.
    """

    def measure(network: Networks, gain: Array, input_std: Array) -> Array:
        params, xs, state = network
        leaves = recurrent_leaves(cell)
        params = leaves.replace(params, [gain * leaf for leaf in leaves.get(params)])
        measured = lyapunov_exponents(
            cell,
            params,
            input_std * xs,
            state,
            count=count,
            discard=config.discard,
            records=records,
        )
        return measured.running

    over_gains = jax.vmap(measure, in_axes=(None, 0, None), out_axes=1)
    over_both = jax.jit(jax.vmap(over_gains, in_axes=(0, None, None), out_axes=1))
    return lambda networks, input_std: np.asarray(
        over_both(networks, jnp.asarray(gains, config.dtype), jnp.asarray(input_std, config.dtype))
    )


def records_of(steps: int, discard: int) -> tuple[int, ...]:
    """Where the running estimate is read, logarithmically spaced after `discard`."""
    after = np.geomspace(1, steps - discard, RECORDS).round().astype(int)
    return tuple(int(step) + discard for step in np.unique(after))
