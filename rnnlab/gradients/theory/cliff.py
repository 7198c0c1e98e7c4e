"""The cliff in the loss of one logistic unit: where it is, and how large the gradient is on it.

    x_t = w σ(x_{t-1}) + b,    E(w, b) = (σ(x_T) - y)²,    σ(x) = 1 / (1 + e^-x).

On the line b = x_0 - w σ(x_0) the unit starts in a fixed point, of slope μ = w σ'(x_0). Where μ > 1
that fixed point is unstable: above the line x_T rises to the upper stable state, below it falls to
the lower one. The loss therefore has a wall on that line, and the gradient there grows as μ^T.

Source: Pascanu, Mikolov and Bengio 2013, section 2.3 (the unit, and the wall as a crossing of the
boundary between basins of attraction); the closed forms follow from the equation of the unit.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from rnnlab.errors import UsageError
from rnnlab.gradients.theory.checks import Floats, real, single_count


def cliff_wall(w: ArrayLike, x_0: float) -> Floats:
    """The b at which x_0 is a fixed point: b = x_0 - w σ(x_0). Exact.

    Args:
        w: recurrent weight.
        x_0: state of the unit before the first step.

    Raises:
        UsageError: x_0 not finite.
    """
    return _start(x_0) - np.asarray(w, np.float64) * _logistic(x_0)


def cliff_valley(w: ArrayLike, x_0: float, target: float) -> Floats:
    """The b at which E vanishes as T grows: b = x - w y, with σ(x) = y. A limit.

    Args:
        w: recurrent weight.
        x_0: state of the unit before the first step.
        target: y, between 0 and 1.

    Returns:
        b; NaN for w <= 0, where x is not a stable fixed point (w σ'(x) >= 1), and where the wall
        lies between x_0 and x.

    Raises:
        UsageError: x_0 not finite, target not between 0 and 1.
    """
    w, y = np.asarray(w, np.float64), _target(target)
    x = math.log(y / (1 - y))
    b = x - w * y
    reached = (w > 0) & (w * y * (1 - y) < 1) & ((x - x_0) * (b - cliff_wall(w, x_0)) > 0)
    return np.where(reached, b, np.nan)[()]


def log10_cliff_gradient(w: ArrayLike, x_0: float, target: float, steps: int) -> Floats:
    """log10 ‖∂E/∂(w, b)‖ on the wall. Exact at every T.

    There ∂x_T/∂b = 1 + μ + ... + μ^(T-1) and ∂x_T/∂w = σ(x_0) ∂x_T/∂b, hence
    ‖∂E/∂(w, b)‖ = 2 |σ(x_0) - y| σ'(x_0) √(1 + σ(x_0)²) |1 + μ + ... + μ^(T-1)|.

    Args:
        w: recurrent weight.
        x_0: state of the unit before the first step.
        target: y, between 0 and 1.
        steps: T, at least 1.

    Raises:
        UsageError: w or x_0 not finite, target not between 0 and 1, steps not an integer >= 1.
    """
    length = single_count("steps", steps, least=1)
    _start(x_0)
    level = _logistic(x_0)
    slope = level * _logistic(-x_0)
    mu = real("w", w) * slope
    # Where |μ| > 1, the sum is μ^(T-1) times the same sum of 1/μ, which does not overflow.
    ratio = np.where(abs(mu) > 1, 1 / np.where(mu == 0, 1.0, mu), mu)
    series = np.abs(np.sum(ratio[..., None] ** np.arange(length), axis=-1))
    outer = 2 * abs(level - _target(target)) * slope * math.hypot(1, level)
    with np.errstate(divide="ignore"):  # log10 0 = -inf where the gradient vanishes
        return (length - 1) * np.log10(np.maximum(abs(mu), 1.0)) + np.log10(outer * series)


def _start(x_0: float) -> float:
    if not math.isfinite(x_0):
        raise UsageError(f"x_0={x_0}: must be a finite number")
    return x_0


def _target(target: float) -> float:
    if not 0 < target < 1:
        raise UsageError(f"target={target}: must lie between 0 and 1")
    return target


def _logistic(x: float) -> float:
    """σ(x) without overflow, however negative x is."""
    return 1 / (1 + math.exp(-x)) if x > -700 else math.exp(x)
