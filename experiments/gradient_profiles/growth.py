"""The rate at which a gradient grows or decays back in time, and other ways to state it."""

import math

import numpy as np
from numpy.typing import ArrayLike


def growth_per_step(log10_norm: np.ndarray) -> np.ndarray:
    """Slope `[...]` of `log10_norm [..., T+1]` against the steps before the loss, decades per step.

    Least squares over the half that is farther from the loss, where the transient of the steps next
    to the loss is over. NaN where a gradient is exactly zero there.
    """
    far = log10_norm[..., log10_norm.shape[-1] // 2 :]
    centred = np.arange(far.shape[-1]) - (far.shape[-1] - 1) / 2
    with np.errstate(invalid="ignore"):  # 0 times −inf where a gradient is exactly zero
        slope = np.sum(centred * far, axis=-1) / np.sum(centred**2)
    return np.where(np.all(np.isfinite(far), axis=-1), slope, np.nan)


def time_constant(growth: ArrayLike) -> np.ndarray:
    """Steps in which a gradient falls to 1/e, from its growth in decades per step; inf if never."""
    growth = np.asarray(growth)
    return np.where(growth < 0, -1 / (np.log(10) * np.where(growth < 0, growth, -1)), np.inf)


def half_life(growth: float) -> str:
    """Steps in which the gradient halves, from decades per step; or what it does instead."""
    if math.isnan(growth):
        return "exactly zero"
    if abs(growth) < 1e-6:
        return "constant"
    steps = f"{math.log10(2) / abs(growth):.3g}"
    return steps if growth < 0 else f"doubles in {steps}"
