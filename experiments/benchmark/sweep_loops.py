"""What people write instead of a sweep: loops over points and lengths, in JAX and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.cells import Elman
from rnnlab.sweep.draws import InputTexts, draw
from rnnlab.sweep.grid import Grid
from rnnlab.unroll import unroll

#: Norms `[points, lengths, 2]`: the geometric mean over the batch of ‖∂L/∂h_0‖, and ‖∂L/∂wh‖.
Norms = np.ndarray
Loop = Callable[[], Norms]


class Network(NamedTuple):
    """A point of a grid as the loops take it.

    Attributes:
      params: of a cell with tanh.
      xs: inputs `[T, B, D]` to the longest length.
      readout: what each output counts in the loss, `[B, H]`.
    """

    params: dict[str, jax.Array]
    xs: jax.Array
    readout: jax.Array


def draw_networks(grid: Grid) -> list[Network]:
    """The networks that the sweep over a grid draws, radius by radius."""
    program = grid.programs()[0]
    draws = draw(grid, program, np.arange(grid.seeds), InputTexts(None, None))
    networks = []
    for radius in grid.scales:
        for seed in range(grid.seeds):
            params = jax.tree.map(lambda a, seed=seed: a[seed], draws.params)
            factor = np.float32(radius / draws.spectral_radius[seed, 0])
            params = params | {"wh": params["wh"] * factor}
            xs = draws.xs[seed] * np.float32(grid.input_scales[0])
            networks.append(Network(params, xs, draws.readout[seed]))
    return networks


def jax_loop(networks: Sequence[Network], lengths: Sequence[int]) -> Loop:
    """A Python loop of one jitted gradient."""
    hidden = networks[0].params["wh"].shape[0]
    cell = Elman(hidden)

    @jax.jit
    def norms(params: Any, xs: jax.Array, readout: jax.Array) -> tuple[jax.Array, jax.Array]:
        def loss(params: Any, state: Any) -> jax.Array:
            _, ys = unroll(cell, params, xs, state)
            return jnp.mean(jnp.sum(ys[-1] * readout, -1))

        start = cell.initial_state(xs.shape[1:2], xs.dtype)
        d_params, d_state = jax.grad(loss, (0, 1))(params, start)
        per_sequence = jnp.linalg.norm(d_state.h * xs.shape[1], axis=-1)
        return _geometric_mean(per_sequence), jnp.linalg.norm(d_params["wh"])

    def measure(network: Network, length: int) -> list[float]:
        return [float(v) for v in norms(network.params, network.xs[:length], network.readout)]

    return lambda: np.array([[measure(network, n) for n in lengths] for network in networks])


def torch_loop(networks: Sequence[Network], lengths: Sequence[int]) -> Loop:
    """A Python loop over `torch.nn.RNN` and autograd."""
    import torch

    _, batch, features = networks[0].xs.shape
    hidden = networks[0].params["wh"].shape[0]
    points = jax.tree.map(lambda a: torch.from_numpy(np.array(a)), list(networks))
    module: Any = torch.nn.RNN(features, hidden)

    def measure(network: Any, length: int) -> list[float]:
        with torch.no_grad():
            module.weight_ih_l0.copy_(network.params["wx"].T)
            module.weight_hh_l0.copy_(network.params["wh"].T)
            module.bias_ih_l0.copy_(network.params["b"])
            module.bias_hh_l0.zero_()
        h = torch.zeros(1, batch, hidden, requires_grad=True)
        ys, _ = module(network.xs[:length], h)
        loss = (ys[-1] * network.readout).sum(-1).mean()
        d_h, d_wh = torch.autograd.grad(loss, (h, module.weight_hh_l0))
        per_sequence = (d_h[0] * batch).norm(dim=-1)
        return [float(per_sequence.log().mean().exp()), float(d_wh.norm())]

    return lambda: np.array([[measure(network, n) for n in lengths] for network in points])


def _geometric_mean(values: jax.Array) -> jax.Array:
    return jnp.exp(jnp.mean(jnp.log(values)))
