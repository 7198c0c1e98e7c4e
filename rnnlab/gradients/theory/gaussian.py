"""Gaussian matrices, iid entries N(0, gain²/N): growth, Lyapunov spectrum, singular values.

Two networks must be told apart:

- s_t = s_{t-1} W_t with independent W_t. Here E‖s_T‖², E ln ‖s_T‖ and the Lyapunov spectrum are
  exact at every N.
- s_T = s_0 W^T, the powers of one W, which is the linear recurrent network. For fixed T and
  N -> infinity it has the same second moment and the same singular values. For fixed N and
  T -> infinity it follows rho(W)^T, and rho(W) -> gain as N -> infinity (circular law: Geman 1986,
  Bai 1997). No exact law in T is known to hold at finite N; use the measured rho.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from rnnlab.gradients.theory.checks import Floats, count, non_negative, positive, real, single_count

BISECTIONS = 64


def log10_rms_growth_gaussian(gain: ArrayLike, steps: ArrayLike) -> Floats:
    """½ log10 E‖s_T‖² / ‖s_0‖² = T log10 gain, the mean taken over the matrices.

    Independent matrices: exact at every N and T, since E[W W^T] = gain² I. But for T of the order
    of N and above, rare products carry that mean; a typical one grows by `gaussian_exponent`.
    Powers of one matrix: the limit N -> infinity at fixed T; at finite N it serves T << sqrt(N).

    Raises:
        UsageError: gain not positive, steps not an integer >= 0.

    Source: Wick's theorem; Newman 1986 for independent matrices.
    """
    return count("steps", steps) * np.log10(positive("gain", gain))


def gaussian_exponent(gain: ArrayLike, hidden: ArrayLike) -> Floats:
    """Largest Lyapunov exponent of products of independent Gaussian matrices, nats per step.

    lambda_1 = ln gain + ½ (ln(2/N) + psi(N/2)), psi the digamma function. Also, exactly and at
    every T, E ln(‖s_T‖ / ‖s_0‖) = lambda_1 T. About ln gain - 1/(2N) for large N. It does not hold
    for the powers of one matrix, whose exponent is ln rho(W).

    Args:
        gain: sqrt(N) times the standard deviation of the entries, positive.
        hidden: N, broadcast against `gain`.

    Raises:
        UsageError: gain not positive, hidden not an integer >= 1.

    Source: Newman 1986 (real matrices); Cohen and Newman 1984.
    """
    width = count("hidden", hidden, least=1)
    return np.log(positive("gain", gain)) + 0.5 * (np.log(2.0 / width) + _digamma(width / 2.0))


def gaussian_spectrum(gain: ArrayLike, hidden: int) -> Floats:
    """All Lyapunov exponents of products of independent Gaussian matrices, nats per step.

    lambda_i = ln gain + ½ (ln(2/N) + psi((N - i + 1)/2)), i = 1 .. N, exact at every N in the
    limit of many factors. For large N, e^lambda_i -> gain sqrt(1 - i/N), the triangle law.

    Args:
        gain: [...], positive.
        hidden: N.

    Returns:
        [..., N], descending.

    Raises:
        UsageError: gain not positive, hidden not an integer >= 1.

    Source: Newman 1986; triangle law: Isopi and Newman 1992.
    """
    width = single_count("hidden", hidden, least=1)
    freedom = np.arange(width, 0, -1, dtype=np.float64)
    shape = 0.5 * (math.log(2.0 / width) + _digamma(freedom / 2.0))
    return np.log(positive("gain", gain))[..., None] + shape


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


def _digamma(x: Floats) -> Floats:
    """psi(x) for x > 0: ten steps of psi(x) = psi(x+1) - 1/x, then the asymptotic series."""
    shift = np.arange(10.0)
    large = x + 10.0
    inverse_square = 1.0 / large**2
    # B_2n / (2n), n = 1 .. 7; the next term is below 1e-16 from 10 on.
    coefficients = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
    series = np.polynomial.polynomial.polyval(inverse_square, (0.0, *coefficients))
    return np.log(large) - 0.5 / large - series - np.sum(1.0 / (x[..., None] + shift), axis=-1)
