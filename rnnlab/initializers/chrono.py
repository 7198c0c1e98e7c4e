"""Biases of forget gates for memories of given lengths."""

import math

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Key
from rnnlab.errors import UsageError
from rnnlab.initializers.base import draw_dtype
from rnnlab.sizes import check_positive


def draw_chrono_bias(
    key: Key, hidden: int, t_max: float, dtype: DTypeLike = jnp.float32
) -> Float[Array, "H"]:
    """Returns forget-gate biases for memories of 1 to `t_max` steps: the chrono initialisation.

    b_f ~ log U(1, t_max - 1), and the input gate takes b_i = -b_f (Tallec & Ollivier 2018, "Can
    recurrent neural networks warp time?", section 2). A forget gate of value sigmoid(b_f)
    loses a factor e in about 1 + e^{b_f} steps, so the time constants are uniform over the range.

    In a GRU of the convention h' = (1-z) * n + z * h it is z that keeps, so b_z = b_f; texts that
    write h' = (1-z) * h + z * n take the negative.

    Args:
        key: random key.
        hidden: H, the number of units.
        t_max: the longest dependency to remember, in steps, above 2.
        dtype: floating type of the result.

    Returns:
        b_f `[H]`, between 0 and log(t_max - 1).

    Raises:
        UsageError: `hidden` not positive; `t_max` not a finite number above 2.
    """
    hidden = check_positive("hidden", hidden)
    if not (math.isfinite(t_max) and t_max > 2):
        raise UsageError(f"t_max={t_max}: must be a finite number of steps above 2")
    wide = draw_dtype(dtype)
    return jnp.log(jax.random.uniform(key, (hidden,), wide, 1, t_max - 1)).astype(dtype)
