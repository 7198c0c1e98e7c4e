"""Two ways to the norm of a gradient, each for several lengths in one program."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnlab.cells import Cell
from rnnlab.cells.base import Params, State
from rnnlab.gradients import adjoint_profile
from rnnlab.unroll import unroll


@partial(jax.jit, static_argnums=(0, 1))
def naive(cell: Cell, lengths: tuple[int, ...], params: Params, xs: Array, state: State) -> Array:
    """log10 of the norm of `jax.grad` of `unroll` for each length, `[len(lengths)]`.

    The L lengths are rows of one batch, which holds a few arrays `[T, L, H]`; all of them share
    `xs [T, D]` and `state`, its leaves `[H]`.
    """
    xs, state, weights = _rows(cell, lengths, xs, state)

    def loss(state: State) -> Array:
        _, ys = unroll(cell, params, xs, state, lengths=np.array(lengths))
        return jnp.sum(weights * ys)

    gradient = jnp.concatenate(jax.tree.leaves(jax.grad(loss)(state)), axis=-1)
    return jnp.log10(jnp.linalg.norm(gradient, axis=-1))


@partial(jax.jit, static_argnums=(0, 1))
def log_domain(
    cell: Cell, lengths: tuple[int, ...], params: Params, xs: Array, state: State
) -> Array:
    """The same number for each length from `adjoint_profile`; arguments as for `naive`."""
    xs, state, weights = _rows(cell, lengths, xs, state)
    return adjoint_profile(cell, params, xs, state, loss=weights, parts=()).log10_joint[0]


def _rows(
    cell: Cell, lengths: tuple[int, ...], xs: Array, state: State
) -> tuple[Array, State, Array]:
    """Inputs `[T, L, D]`, states `[L, H]`, and `∂L/∂y [T, L, H]`: 1/√H at the end of each row."""
    rows = len(lengths)
    state = jax.tree.map(lambda a: jnp.broadcast_to(a, (rows, *a.shape)), state)
    last = np.arange(xs.shape[0])[:, None] == np.array(lengths) - 1
    weight = jnp.asarray(cell.features_out**-0.5, xs.dtype)
    weights = jnp.where(last[..., None], weight, jnp.zeros_like(weight))
    weights = jnp.broadcast_to(weights, (*last.shape, cell.features_out))
    return jnp.broadcast_to(xs[:, None], (*last.shape, xs.shape[-1])), state, weights
