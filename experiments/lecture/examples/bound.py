"""The bound of the gradient: what a matrix allows, and what a network does with it."""

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab import Elman, state_jacobian
from rnnlab.gradients import theory


def bound_and_measured(
    sigma_max: float, steps: int = 100, units: int = 64
) -> dict[str, np.ndarray]:
    """`log10 ‖∂h_T/∂h_0‖` of a tanh network for T = 1 … steps, beside `(γ σ_max)^T`, γ = 1."""
    cell, lengths = Elman(units, activation="tanh"), np.arange(1, steps + 1)
    params = cell.init(jax.random.key(0), features_in=1)
    wh = jax.random.normal(jax.random.key(1), (units, units))
    params["wh"] = wh * (sigma_max / jnp.linalg.norm(wh, 2))
    xs = jax.random.normal(jax.random.key(2), (steps, 1))
    measured = state_jacobian(cell, params, xs, lengths=lengths.tolist())
    return {
        "T": lengths,
        "bound": theory.log10_bound(sigma_max, lengths, "tanh"),
        "measured": np.asarray(measured.log10_sigma_max),
    }
