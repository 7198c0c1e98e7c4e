"""Fuss-Catalan law: singular values sigma of a product of L Gaussian matrices of N rows.

The limit N -> infinity at fixed L, for independent factors with entries N(0, gain²/N) and for the
powers W^L of one such matrix alike. At finite N it serves L << N.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from rnnlab.errors import UsageError
from rnnlab.gradients.theory.checks import Floats, count, non_negative, positive, real, single_count

BISECTIONS = 64


def fuss_catalan_number(factors: int, order: int) -> int:
    """Moment E[x^order] = C(L k + k, k) / (L k + 1) of the Fuss-Catalan law, L factors, k order.

    x = sigma² is a squared singular value of a product of L Gaussian matrices of gain 1.

    Raises:
        UsageError: factors not an integer >= 1, order not an integer >= 0.

    Source: Penson and Życzkowski 2011, equation 1.
    """
    length = single_count("factors", factors, least=1)
    k = single_count("order", order)
    return math.comb(length * k + k, k) // (length * k + 1)


def fuss_catalan_edge(factors: ArrayLike) -> Floats:
    """Upper edge (L+1)^(L+1) / L^L of the law of x = sigma² for L factors of gain 1.

    The largest singular value of the product is therefore near gain^L sqrt(e L) when L is large
    and N much larger.

    Raises:
        UsageError: factors not an integer >= 1.

    Source: Penson and Życzkowski 2011, section II.
    """
    length = count("factors", factors, least=1)
    return (length + 1.0) * np.exp(length * np.log1p(1.0 / length))


def fuss_catalan_log10_density(
    log10_sigma: ArrayLike, factors: ArrayLike, gain: ArrayLike = 1.0
) -> Floats:
    """Density of u = log10 sigma for the singular values of a product of L Gaussian matrices.

    With the angle phi in (0, pi/(L+1)) that solves
    10^(2u) / gain^(2L) = sin((L+1) phi)^(L+1) / (sin(phi) sin(L phi)^L),
    p(u) = (2 ln 10 / pi) sin(phi) sin((L+1) phi) / sin(L phi), and 0 above the edge
    u = L log10 gain + ½ log10 `fuss_catalan_edge(L)`. The limit N -> infinity at fixed L, for
    independent factors and for the powers W^L of one matrix alike; finite N serves L << N.

    Args:
        log10_sigma: u.
        factors: L, number of matrices (time steps).
        gain: of each matrix, positive.

    Returns:
        p(u) per decade, of the broadcast shape.

    Raises:
        UsageError: log10_sigma not finite, factors not an integer >= 1, gain not positive.

    Source: Haagerup and Möller 2013 (the angle); Penson and Życzkowski 2011; Alexeev, Götze and
    Tikhomirov 2010 (powers).
    """
    length = count("factors", factors, least=1)
    log10_x = 2.0 * (real("log10_sigma", log10_sigma) - length * np.log10(positive("gain", gain)))
    inside = log10_x < np.log10(fuss_catalan_edge(length))
    density = _density_of_log_x(np.log(10.0) * log10_x, length)
    return np.where(inside, 2.0 * np.log(10.0) * density, 0.0)[()]


def fuss_catalan_density(x: ArrayLike, factors: ArrayLike) -> Floats:
    """Density of x = sigma² for a product of L Gaussian matrices of gain 1.

    p(x) = sin(phi)² sin(L phi)^(L-1) / (pi sin((L+1) phi)^L) with the angle of
    `fuss_catalan_log10_density`, whose assumptions and sources apply. L = 1 is the
    Marchenko-Pastur law sqrt((4 - x)/x) / (2 pi). It diverges as x^(-L/(L+1)) at 0, where inf is
    returned; above the edge it is 0.

    Raises:
        UsageError: x negative or not finite, factors not an integer >= 1.
    """
    x = non_negative("x", x)
    length = count("factors", factors, least=1)
    with np.errstate(divide="ignore"):
        density = _density_of_log_x(np.log(x), length) / np.where(x > 0, x, 1.0)
    density = np.where(x < fuss_catalan_edge(length), density, 0.0)
    return np.where(x > 0, density, np.inf)[()]


def fuss_catalan_distribution(log10_sigma: ArrayLike, factors: int, gain: float = 1.0) -> Floats:
    """Probability that the log10 of a singular value lies below each value.

    The density is integrated by the trapezoid rule, downwards from the edge, where the density
    goes to zero like a square root and the points are dense. For small u it falls as
    10^(2u/(L+1)). The error is below 1e-5.

    Args:
        log10_sigma: u.
        factors: L, number of matrices (time steps).
        gain: of each matrix, positive.

    Raises:
        UsageError: factors not an integer >= 1, gain not positive.

    Source: that of `fuss_catalan_log10_density`.
    """
    length = single_count("factors", factors, least=1)
    shift = length * math.log10(positive("gain", gain))
    edge = 0.5 * np.log10(fuss_catalan_edge(length)) + shift
    u = edge - 8 * (length + 1) * np.linspace(1, 0, 4001) ** 3
    density = fuss_catalan_log10_density(u, length, gain)
    below = np.concatenate([[0], np.cumsum(np.diff(u) * (density[1:] + density[:-1]) / 2)])
    return np.interp(np.asarray(log10_sigma, np.float64), u, below)


def fuss_catalan_distance(log10_sigma: ArrayLike, factors: int, gain: float = 1.0) -> float:
    """Largest difference between the distribution functions of samples and of the law.

    The statistic of Kolmogorov and Smirnov.

    Args:
        log10_sigma: samples of u, at least one; -inf is a singular value of zero.
        factors: L, number of matrices (time steps).
        gain: of each matrix, positive.

    Raises:
        UsageError: no samples, factors not an integer >= 1, gain not positive.
    """
    ordered = np.sort(np.asarray(log10_sigma, np.float64), axis=None)
    if not ordered.size:
        raise UsageError("log10_sigma: must hold at least one sample")
    law = fuss_catalan_distribution(ordered, factors, gain)
    above = np.arange(1, len(ordered) + 1) / len(ordered) - law
    return float(max(above.max(), 1 / len(ordered) - above.min()))


def _density_of_log_x(log_x: Floats, length: Floats) -> Floats:
    """Density of ln x inside the support: sin(phi) sin((L+1) phi) / (pi sin(L phi)).

    The unknown is ln s, s = pi - (L+1) phi in (0, pi): ln x rises with it, and small x keeps its
    digits because s, not phi, tends to zero there.
    """
    shape = np.broadcast_shapes(np.shape(log_x), np.shape(length))
    low, high = np.full(shape, -744.0), np.full(shape, math.log(math.pi))
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        s = np.exp(middle)
        phi = (math.pi - s) / (length + 1.0)
        trial = (length + 1.0) * np.log(np.sin(s)) - np.log(np.sin(phi))
        below = trial - length * np.log(np.sin(s + phi)) < log_x
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    s = np.exp(low)
    phi = (math.pi - s) / (length + 1.0)
    return np.sin(phi) * np.sin(s) / (math.pi * np.sin(s + phi))
