"""A recurrent matrix that is the identity carries a gradient through any number of steps."""

import jax
import jax.numpy as jnp

from rnnlab import Elman, adjoint_profile
from rnnlab.initializers import Gaussian, Identity, Initializer


def log10_adjoint(recurrent: Initializer, activation: str, steps: int = 1000) -> jax.Array:
    """`log10 ‖∂L/∂h_t‖` for t = 0 … steps, with the loss at the last step."""
    cell = Elman(64, activation=activation, wh_init=recurrent)
    params = cell.init(jax.random.key(0), features_in=2)
    xs = jnp.abs(jax.random.normal(jax.random.key(1), (steps, 2)))
    params["wx"] = jnp.abs(params["wx"])  # so that no ReLU is ever at 0
    return adjoint_profile(cell, params, xs).log10_joint


def irnn_and_others() -> dict[str, jax.Array]:
    """The IRNN of Le, Jaitly and Hinton (2015), and networks with other matrices."""
    return {
        "ReLU, identity (IRNN)": log10_adjoint(Identity(), "relu"),
        "ReLU, 0.9 identity": log10_adjoint(Identity(0.9), "relu"),
        "tanh, identity": log10_adjoint(Identity(), "tanh"),
        "tanh, Gaussian": log10_adjoint(Gaussian(1.0), "tanh"),
    }
