"""Where a gradient can begin to grow: at a weight of 1, or of 4 for the sigmoid."""

import jax
import jax.numpy as jnp

from rnnlab import Elman, HiddenState, unroll


def steepest(activation: str, w: float, steps: int = 100) -> float:
    """`∂h_T/∂h_0` of a unit that stays where its activation is steepest, at `z = 0`."""
    h = 0.5 if activation == "sigmoid" else 0.0  # φ(0), at which b = -w h keeps the unit
    unit = Elman(1, activation=activation)
    params = {"wx": jnp.zeros((1, 1)), "wh": jnp.full((1, 1), w), "b": jnp.full(1, -w * h)}

    def last(start: jax.Array) -> jax.Array:
        state, _ = unroll(unit, params, jnp.zeros((steps, 1)), HiddenState(start))
        return state.h[0]

    return float(jax.grad(last)(jnp.full(1, h))[0])


def threshold(activation: str) -> float:
    """The weight at which the gradient neither vanishes nor explodes, by bisection."""
    low, high = 0.1, 10.0
    for _ in range(30):
        w = (low + high) / 2
        low, high = (w, high) if steepest(activation, w) < 1 else (low, w)
    return low
