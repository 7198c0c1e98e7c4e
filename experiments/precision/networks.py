"""The networks whose gradients are compared."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from experiments.precision.config import Config
from experiments.precision.schema import CONTROL
from rnnlab import cells, initializers
from rnnlab.arrays import Params, State
from rnnlab.cells import Cell
from rnnlab.gradients import with_recurrent_init
from rnnlab.initializers import GateBlocks, Orthogonal, Rescaled


class Network(NamedTuple):
    """A cell with its parameters, inputs `xs [T, 1]` and first state, its leaves `[H]`."""

    cell: Cell
    params: Params
    xs: Array
    state: State

    def cast(self, dtype: str) -> "Network":
        """The same network, rounded to another floating type."""
        arrays = jax.tree.map(lambda a: a.astype(dtype), (self.params, self.xs, self.state))
        return Network(self.cell, *arrays)


def draw_network(config: Config, network: str, radius: float, seed: int) -> Network:
    """A network in float64.

    The linear orthogonal network rests at zero: its gradient depends on neither state nor input.
    """
    keys = jax.random.split(jax.random.key(seed), 3)
    name, base = network, initializers.by_name(config.init)
    if network == CONTROL:
        name, base = "linear", Orthogonal()
    cell = cells.by_name(name, config.hidden)
    draft = with_recurrent_init(cell, Rescaled(GateBlocks(base), radius))
    params = draft.init(keys[0], 1, jnp.float64)
    state = draft.initial_state((), jnp.float64)
    xs = jnp.zeros((config.lengths[-1], 1), jnp.float64)
    if network != CONTROL:
        xs = config.input_scale * jax.random.normal(keys[1], xs.shape, xs.dtype)
        leaves, tree = jax.tree.flatten(state)
        drawn = [
            jax.random.uniform(key, leaf.shape, leaf.dtype, -1, 1)
            for key, leaf in zip(jax.random.split(keys[2], len(leaves)), leaves, strict=True)
        ]
        state = jax.tree.unflatten(tree, drawn)
    # A cell without the initialiser in it: equal for all radii, so that it compiles once.
    return Network(cell, params, xs, state)
