"""The constant error carousel: the memory of an LSTM whose forget gate is open."""

import jax
import jax.numpy as jnp

from rnnlab import LSTM, adjoint_profile


def log10_adjoint_of_c(forget_bias: float, steps: int = 1000) -> jax.Array:
    """`log10 ‖∂L/∂c_t‖` for t = 0 … steps, as a share of that at the end.

    `c_t = f c_{t-1} + i g` with `f = σ(forget_bias)`; no gate reads the state.
    """
    lstm = LSTM(16, forget_bias=forget_bias)
    params = lstm.init(jax.random.key(0), features_in=2)
    params["wh"] = jnp.zeros_like(params["wh"])
    params["wx"] = params["wx"].at[:, 16:32].set(0)  # nor does f read the input
    xs = jax.random.normal(jax.random.key(1), (steps + 1, 2))
    profile = adjoint_profile(lstm, params, xs).log10_parts["c"]
    return profile[:-1] - profile[-2]  # the last step also leads through the output
