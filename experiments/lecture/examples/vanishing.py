"""A gradient through many steps of one linear unit: it vanishes, or it explodes."""

import jax
import jax.numpy as jnp

from rnnlab import Elman, HiddenState, unroll


def carried_back(w: float, steps: int = 100) -> float:
    """`∂h_T/∂h_0` of `h_t = w h_{t-1}`, by backpropagation."""
    unit = Elman(1, activation="identity")
    params = {"wx": jnp.zeros((1, 1)), "wh": jnp.full((1, 1), w), "b": jnp.zeros(1)}

    def last(h: jax.Array) -> jax.Array:
        state, _ = unroll(unit, params, jnp.zeros((steps, 1)), HiddenState(h))
        return state.h[0]

    return float(jax.grad(last)(jnp.ones(1))[0])
