"""Backpropagation that is cut after k steps, and the gradient that it misses."""

import jax
import jax.numpy as jnp

from rnnlab import Elman, Truncated, unroll


def cosine(horizon: int, radius: float, steps: int = 128, units: int = 32) -> float:
    """Of the angle between the gradient of `wh` that is cut every k steps and the whole one."""
    cell = Elman(units, activation="tanh")
    params = cell.init(jax.random.key(0), features_in=4)
    params["wh"] = radius * jnp.linalg.qr(jax.random.normal(jax.random.key(1), (units, units)))[0]
    xs = 0.1 * jax.random.normal(jax.random.key(2), (steps, 8, 4))

    def loss(params: dict, strategy: Truncated) -> jax.Array:
        _, hs = unroll(cell, params, xs, strategy=strategy)
        return jnp.mean(hs[-1] * jnp.sign(xs[0, :, :1]))

    cut, whole = (jax.grad(loss)(params, Truncated(k))["wh"].ravel() for k in (horizon, steps))
    return float(cut @ whole / (jnp.linalg.norm(cut) * jnp.linalg.norm(whole)))
