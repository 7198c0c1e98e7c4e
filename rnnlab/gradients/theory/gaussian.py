"""Gaussian matrices, iid entries N(0, gain²/N): growth and Lyapunov spectrum.

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

from rnnlab.gradients.theory.checks import Floats, count, positive, single_count


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


def _digamma(x: Floats) -> Floats:
    """psi(x) for x > 0: ten steps of psi(x) = psi(x+1) - 1/x, then the asymptotic series."""
    shift = np.arange(10.0)
    large = x + 10.0
    inverse_square = 1.0 / large**2
    # B_2n / (2n), n = 1 .. 7; the next term is below 1e-16 from 10 on.
    coefficients = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
    series = np.polynomial.polynomial.polyval(inverse_square, (0.0, *coefficients))
    return np.log(large) - 0.5 / large - series - np.sum(1.0 / (x[..., None] + shift), axis=-1)
