"""Memory of a forget gate that is set by its bias alone.

The model is c_t = f c_{t-1} with f = sigmoid(bias): the gate sees neither input nor state, and no
other path leads from c_{t-1} to c_t. In an LSTM it describes ∂c_T/∂c_0 while the gate's
preactivation stays near its bias.
"""

import numpy as np
from numpy.typing import ArrayLike

from rnnlab.errors import UsageError
from rnnlab.gradients.theory.checks import Floats, count, positive, real


def forget_time_constant(bias: ArrayLike) -> Floats:
    """Steps after which c has fallen to 1/e: tau = -1 / ln sigmoid(bias) = 1 / ln(1 + e^-bias).

    Exact in the model of this module; inf where e^-bias underflows (bias above about 745).

    Raises:
        UsageError: bias not finite.

    Source: Gers, Schmidhuber and Cummins 2000 for the gate; tau is that of exponential decay.
    """
    with np.errstate(divide="ignore", over="ignore"):
        return 1.0 / np.logaddexp(0.0, -real("bias", bias))


def log10_forget_growth(bias: ArrayLike, steps: ArrayLike) -> Floats:
    """log10 |c_T / c_0| = T log10 sigmoid(bias), always below zero; exact in the model.

    Raises:
        UsageError: bias not finite, steps not an integer >= 0.
    """
    return -count("steps", steps) * np.logaddexp(0.0, -real("bias", bias)) / np.log(10.0)


def forget_bias(time_constant: ArrayLike) -> Floats:
    """The bias with time constant tau: bias = -ln(e^(1/tau) - 1), the inverse of the time constant.

    Args:
        time_constant: tau in steps, positive.

    Raises:
        UsageError: time_constant not positive.
    """
    rate = 1.0 / positive("time_constant", time_constant)
    return -rate - np.log(-np.expm1(-rate))  # e^rate itself would overflow for small tau


def chrono_bias(time_constant: ArrayLike) -> Floats:
    """Bias of chrono initialisation: bias = ln(tau - 1), so that sigmoid(bias) = 1 - 1/tau.

    An approximation of `forget_bias`: it takes ln f as f - 1, which is low by about 1/(2 tau) in
    the bias; the true time constant is then tau - ½ + O(1/tau) steps.

    Args:
        time_constant: tau in steps, above 1.

    Raises:
        UsageError: time_constant not above 1.

    Source: Tallec and Ollivier 2018, who draw tau - 1 from the uniform law on [1, T_max - 1].
    """
    tau = positive("time_constant", time_constant)
    if np.any(tau <= 1):
        raise UsageError(f"time_constant={np.min(tau):g}: must be above 1 (or use forget_bias)")
    return np.log(tau - 1.0)
