"""Gradient descent at a cliff of the loss, with and without clipping."""

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab import Elman, HiddenState, unroll


def loss(theta: jax.Array, steps: int = 50, target: float = 0.7) -> jax.Array:
    """`(h_T - 0.7)²` of one unit `h_t = σ(w h_{t-1} + b)`, for `theta = (w, b)`."""
    unit, start = Elman(1, activation="sigmoid"), HiddenState(jax.nn.sigmoid(jnp.full(1, 0.5)))
    params = {"wx": jnp.zeros((1, 1)), "wh": theta[0].reshape(1, 1), "b": theta[1].reshape(1)}
    final, _ = unroll(unit, params, jnp.zeros((steps, 1)), start)
    return (final.h[0] - target) ** 2


def descent(most: float, updates: int = 400) -> dict[str, np.ndarray]:
    """Gradient descent from (5.2, -2.6), whose gradients are scaled down to a norm of `most`."""
    value_and_gradient = jax.jit(jax.value_and_grad(loss))
    theta, way = jnp.array([5.2, -2.6]), []
    for _ in range(updates):
        value, g = value_and_gradient(theta)
        norm = jnp.linalg.norm(g)
        way.append((*theta, value, norm))
        theta = theta - 0.05 * g * jnp.minimum(1.0, most / norm)
    w, b, values, norms = np.array(way).T
    return {"w": w, "b": b, "loss": values, "norm": norms}
