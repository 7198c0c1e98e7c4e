"""The Fuss-Catalan law of log10 σ, and how far samples are from it."""

from __future__ import annotations

import math

import numpy as np

from rnnlab.gradients import theory


def kolmogorov_smirnov(log10_sigma: np.ndarray, length: int, gain: float) -> float:
    """Largest difference of the distribution function of samples and of the Fuss-Catalan law."""
    ordered = np.sort(log10_sigma)
    law = fuss_catalan_distribution(ordered, length, gain)
    above = np.arange(1, len(ordered) + 1) / len(ordered) - law
    return float(max(above.max(), 1 / len(ordered) - above.min()))


def fuss_catalan_distribution(log10_sigma: np.ndarray, length: int, gain: float) -> np.ndarray:
    """Probability that log10 σ of `length` factors lies below each value.

    The density is integrated by the trapezoid rule down from the edge, where its square root asks
    for points that crowd there; it falls as 10^(2u/(T+1)) for small u.
    """
    edge = 0.5 * np.log10(theory.fuss_catalan_edge(length)) + length * math.log10(gain)
    u = edge - 8 * (length + 1) * np.linspace(1, 0, 4001) ** 3
    density = theory.fuss_catalan_log10_density(u, length, gain)
    below = np.concatenate([[0], np.cumsum(np.diff(u) * (density[1:] + density[:-1]) / 2)])
    return np.interp(log10_sigma, u, below)
