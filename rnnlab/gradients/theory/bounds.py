"""The two curves every lecture draws: the bound by singular values and the asymptote by radius."""

import numpy as np
from numpy.typing import ArrayLike

from rnnlab.gradients.theory.checks import Floats, count, one_of, positive

MAX_SLOPES = {"identity": 1.0, "relu": 1.0, "sigmoid": 0.25, "tanh": 1.0}
"""gamma = max |phi'(z)| of each activation."""


def log10_bound(sigma_max: ArrayLike, steps: ArrayLike, activation: str = "tanh") -> Floats:
    """Upper bound of the gradient of h_t = phi(h_{t-1} wh + x_t wx + b), base-10 logarithm.

    ‖∂h_T/∂h_0‖_2 <= (gamma sigma_max)^T, gamma = max |phi'|: 1 for tanh, ReLU and identity,
    1/4 for the sigmoid. It holds for every input and state and is reached only by units that stay
    where the slope is gamma while the gradient keeps to the first singular direction. Below
    gamma sigma_max = 1 the gradient must vanish; above it nothing follows.

    Args:
        sigma_max: largest singular value of `wh` (not its spectral radius), positive.
        steps: T, number of steps between the two states.
        activation: tanh, relu, sigmoid or identity.

    Returns:
        T log10(gamma sigma_max), of the broadcast shape.

    Raises:
        UsageError: sigma_max not positive, steps not an integer >= 0, activation unknown.

    Source: Pascanu, Mikolov and Bengio 2013, section 2.1.
    """
    slope = MAX_SLOPES[one_of("activation", activation, MAX_SLOPES)]
    return count("steps", steps) * np.log10(slope * positive("sigma_max", sigma_max))


def log10_radius(radius: ArrayLike, steps: ArrayLike) -> Floats:
    """The asymptote rho^T of a linear network, base-10 logarithm: T log10 rho.

    Gelfand's formula: ‖wh^T‖^(1/T) -> rho as T grows. Exact at every T only if `wh` is normal;
    otherwise ‖wh^T‖_2 >= rho^T, at times by many orders of magnitude (`log10_sigma_max_jordan`).
    With a saturating activation it is neither a bound nor a limit.

    Args:
        radius: rho, spectral radius of `wh`, positive.
        steps: T.

    Raises:
        UsageError: radius not positive, steps not an integer >= 0.

    Source: Gelfand 1941; Horn and Johnson 2013, corollary 5.6.14.
    """
    return count("steps", steps) * np.log10(positive("radius", radius))
