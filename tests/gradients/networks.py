"""Small networks and an independent way to their Jacobians, for the tests of the laboratory."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.cells import GRU, LSTM, Elman, GRUResetBefore, HiddenState
from rnnlab.cells.base import StandardCell
from rnnlab.combinators import Residual, Stack
from rnnlab.unroll import unroll
from tests import quick

#: Cells whose gradients are compared with those of plain autodiff, for three inputs.
CELLS = {
    "tanh": Elman(4),
    "lstm": LSTM(4),
    "gru": GRU(4),
    "gru_reset_before": GRUResetBefore(4),
    "stack": Stack((LSTM(4), Elman(3))),
    "residual": Residual(GRU(3)),
}


@dataclasses.dataclass(frozen=True)
class Matrices(StandardCell):
    """`h' = h @ x`: the input of a step is its matrix, flattened, for any product of Jacobians."""

    def init(self, key, features_in, dtype=jnp.float32):
        del key, features_in, dtype
        return {}

    def step(self, params, x, state):
        del params
        matrix = x.reshape(*x.shape[:-1], self.hidden, self.hidden)
        h = jnp.einsum("...i,...ij->...j", state.h, matrix)
        return HiddenState(h), h


def network(cell, steps, batch=(2,), dtype=jnp.float64, seed=0):
    """Parameters, inputs with three features, and a state off the origin."""
    rng = np.random.default_rng(seed)
    params = cell.init(jax.random.key(seed), 3, dtype)
    xs = jnp.asarray(rng.normal(size=(steps, *batch, 3)), dtype)
    state = jax.eval_shape(lambda: cell.initial_state(batch, dtype))
    return params, xs, jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), a.dtype), state)


def measured(function, cell, params, xs, state=None, **settings):
    """`function(cell, params, xs, state, **settings)`, compiled for a single short run."""
    return quick.jit(lambda p, x, s: function(cell, p, x, s, **settings))(params, xs, state)


def autodiff_jacobian(cell, params, xs, state):
    """`∂s_T/∂s_0 [B, N, N]` of each sequence of a batch, by `jax.jacobian` of `unroll`."""
    leaves, treedef = jax.tree.flatten(state)
    cuts = [int(cut) for cut in np.cumsum([leaf.shape[-1] for leaf in leaves])[:-1]]

    def final(vector, xs):
        start = jax.tree.unflatten(treedef, jnp.split(vector, cuts))
        return jnp.concatenate(jax.tree.leaves(unroll(cell, params, xs, start)[0]))

    each = jax.vmap(jax.jacobian(final), in_axes=(0, 1))
    return np.asarray(quick.jit(each)(jnp.concatenate(leaves, axis=-1), xs))
