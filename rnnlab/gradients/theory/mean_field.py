"""Mean field of wide random recurrent networks in discrete time.

h_t = phi(z_t), z_t = h_{t-1} wh + u_t, with `wh` of N x N iid entries N(0, gain²/N) and u_t
Gaussian with variance input_std² for each unit: the input x_t wx and the bias together. For
N -> infinity the z are Gaussian with mean 0 and variance q, and in the stationary state

    q = gain² E[phi(sqrt(q) z)²] + input_std²,    lambda = ½ ln(gain² E[phi'(sqrt(q) z)²]),

z ~ N(0, 1). lambda is the largest Lyapunov exponent, nats per step: the mean over steps of the
logarithm of the growth of a generic small perturbation.
Assumptions: N -> infinity first, T -> infinity after; h_0 forgotten; entries of zero mean. Whether
u_t is drawn anew at each step or frozen changes neither equation, and Haar orthogonal `wh` times
gain has the same two.
At finite N a chaotic or driven network lies O(1/N) off in the mean and scatters about that (tanh,
gain 2, N = 400: -0.008 and ±0.007). Where h_t comes to rest, lambda is the logarithm of the
spectral radius of the Jacobian there and converges more slowly: without input and below gain 1 it
is ln rho(wh), and rho exceeds the gain by O(sqrt(ln N / N)) (Rider and Sinclair 2014; about 6 % at
N = 100). So a measured rho is not the gain.

Sources: Molgedey, Schuchhardt and Schuster 1992 (tanh, with noise as input); Poole et al. 2016 and
Schoenholz et al. 2017 (the same equations for depth); Sompolinsky, Crisanti and Sommers 1988.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rnnlab.gradients.theory.bounds import MAX_SLOPES
from rnnlab.gradients.theory.checks import Floats, non_negative, one_of, positive

MEAN_FIELD_INITIALIZERS = ("gaussian", "orthogonal", "uniform")
"""Initialisers of `rnnlab.initializers.INITIALIZERS` whose square matrices this describes: entries
that are independent and of zero mean, whatever their law, or Haar orthogonal."""

INTERVALS = 256
NEWTON_STEPS = 200
BISECTIONS = 64


class TanhMoments(NamedTuple):
    """Means over u ~ N(0, q): E[tanh(u)²], E[tanh'(u)], E[tanh'(u)²]; tanh' = 1 - tanh²."""

    square: Floats
    slope: Floats
    slope_square: Floats


def mean_field_variance(
    gain: ArrayLike, input_std: ArrayLike = 0.0, activation: str = "tanh"
) -> Floats:
    """Stationary variance q of the preactivation: q = gain² E[phi(sqrt(q) z)²] + input_std².

    tanh: q = 0 for gain <= 1 without input, else the one positive root; relative error about 1e-13
    and, near gain = 1 without input, where the root is double, an absolute one of about 1e-16.
    sigmoid: the one positive root; phi has mean ½ but `wh` has mean zero, so E[phi²] enters.
    relu: q = input_std² / (1 - gain²/2), identity: q = input_std² / (1 - gain²); inf where the
    gain reaches sqrt(2) or 1, with or without input (without input and exactly there, any q stays).

    Args:
        gain: sqrt(N) times the standard deviation of the entries of `wh`, positive.
        input_std: standard deviation of u_t, broadcast against `gain`.
        activation: tanh, relu, sigmoid or identity.

    Returns:
        q, of the broadcast shape.

    Raises:
        UsageError: gain not positive, input_std negative, either not finite, activation unknown.

    Source: see the module.
    """
    one_of("activation", activation, MAX_SLOPES)
    g2, s2 = np.broadcast_arrays(
        positive("gain", gain) ** 2, non_negative("input_std", input_std) ** 2
    )
    if activation == "tanh":
        return _tanh_variance(g2, s2)
    if activation == "sigmoid":
        return 4.0 * _tanh_variance(*_sigmoid_as_tanh(g2, s2))
    kept = 1.0 - _linear_slope_square(activation) * g2
    return np.where(kept > 0, s2 / np.where(kept > 0, kept, 1.0), np.inf)[()]


def mean_field_exponent(
    gain: ArrayLike, input_std: ArrayLike = 0.0, activation: str = "tanh"
) -> Floats:
    """Largest Lyapunov exponent, nats per step: lambda = ½ ln(gain² E[phi'(sqrt(q) z)²]).

    tanh without input: ln gain up to gain = 1, then positive and of second order in gain - 1.
    relu: ½ ln(gain²/2) and identity: ln gain, whatever the input and even where q is infinite.

    Arguments, errors and sources as for `mean_field_variance`.
    """
    q = mean_field_variance(gain, input_std, activation)
    if activation == "tanh":
        mean_square = tanh_moments(q).slope_square
    elif activation == "sigmoid":
        mean_square = tanh_moments(q / 4.0).slope_square / 16.0
    else:
        mean_square = np.full(q.shape, _linear_slope_square(activation))[()]
    return np.log(positive("gain", gain)) + 0.5 * np.log(mean_square)


def critical_gain(input_std: ArrayLike = 0.0, activation: str = "tanh") -> Floats:
    """Gain at which lambda = 0: below it gradients vanish, above it they explode.

    tanh: 1 without input, and above 1 with input, which suppresses chaos; sigmoid: the root of
    lambda, above 4; relu: sqrt(2) and identity: 1, whatever the input.

    Args:
        input_std: standard deviation of the input and bias, zero or positive.
        activation: tanh, relu, sigmoid or identity.

    Raises:
        UsageError: input_std negative or not finite, activation unknown.

    Source: Molgedey, Schuchhardt and Schuster 1992 (tanh with input); He et al. 2015 (relu).
    """
    deviation = non_negative("input_std", input_std)
    slope = MAX_SLOPES[one_of("activation", activation, MAX_SLOPES)]
    if activation in ("relu", "identity"):
        return np.full(deviation.shape, _linear_slope_square(activation) ** -0.5)[()]
    low = np.full(deviation.shape, 1.0 / slope)  # there lambda <= ln(gain slope) = 0
    high = 2.0 * low
    while np.any(mean_field_exponent(high, deviation, activation) <= 0):
        high = 2.0 * high
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        ordered = mean_field_exponent(middle, deviation, activation) < 0
        low, high = np.where(ordered, middle, low), np.where(ordered, high, middle)
    # Without input lambda touches zero quadratically, which costs a root finder half the digits.
    exact = (deviation == 0) & (activation == "tanh")
    return np.where(exact, 1.0, 0.5 * (low + high))[()]


def tanh_moments(q: ArrayLike, intervals: int = INTERVALS) -> TanhMoments:
    """Gaussian means of tanh², tanh' and tanh'² to about 1e-15, for any q from 0 to 1e300.

    The trapezoid rule in z = u/sqrt(q), cut where the Gaussian (|z| = 9) or tanh' (|u| = 20) is
    below 1e-17. For analytic integrands its error falls as exp(-2 pi d / spacing), d the distance
    of the nearest pole (of tanh: |Im u| = pi/2): the spacing, at most 0.08 in u and 0.04 in z with
    256 intervals, is far finer than needed at every q. Gauss-Hermite nodes do not follow the step
    that tanh(sqrt(q) z) becomes. For q >= 1, E[tanh²] = 1 - E[tanh'] because tanh² itself does not
    decay; for q < 1 it is integrated directly, so that small q keeps its relative precision.

    Args:
        q: variance, zero or positive.
        intervals: of the trapezoid rule, on half the axis.

    Raises:
        UsageError: q negative or not finite.
    """
    deviation = np.sqrt(non_negative("q", q))
    with np.errstate(divide="ignore"):
        cut = np.minimum(9.0, 20.0 / deviation)
    z = cut[..., None] * (np.arange(intervals + 1) / intervals)
    weight = np.exp(-0.5 * z**2) * (np.sqrt(2.0 / np.pi) * cut[..., None] / intervals)
    weight[..., [0, -1]] *= 0.5
    u = deviation[..., None] * z
    slope = 1.0 / np.cosh(u) ** 2
    mean_slope = np.sum(weight * slope, axis=-1)
    direct = np.sum(weight * np.tanh(u) ** 2, axis=-1)
    square = np.where(deviation < 1.0, direct, 1.0 - mean_slope)[()]
    return TanhMoments(square, mean_slope, np.sum(weight * slope**2, axis=-1))


def _tanh_variance(g2: Floats, s2: Floats) -> Floats:
    """Root of F(q) = g2 E[tanh²] + s2 - q by Newton's method from above.

    F is concave, so from the right of its root Newton's method falls monotonically on it, however
    small F' is. dE[tanh²]/dq = E[3 tanh'² - 2 tanh'] by Stein's lemma.
    """
    silent = (s2 == 0) & (g2 <= 1)
    lower = _lower_bound(g2, s2)
    q = np.where(silent, 0.0, g2 + s2)
    eps = np.finfo(np.float64).eps
    for _ in range(NEWTON_STEPS):
        moments = tanh_moments(q)
        excess = g2 * moments.square + s2 - q
        slope = g2 * (3.0 * moments.slope_square - 2.0 * moments.slope) - 1.0
        step = excess / np.minimum(slope, -eps)
        following = np.where(silent, 0.0, np.clip(q - step, lower, q))
        settled = q - following <= 4 * eps * q
        q = following
        if np.all(settled):
            break
    return q[()]


def _lower_bound(g2: Floats, s2: Floats) -> Floats:
    """Root of g2 (q - 2q²) + s2 - q, which E[tanh²] >= q - 2q² puts below the root of F."""
    root = np.sqrt((g2 - 1.0) ** 2 + 8.0 * g2 * s2)
    above = (g2 - 1.0 + root) / (4.0 * np.maximum(g2, 1.0))
    below = 2.0 * s2 / np.where(g2 < 1.0, 1.0 - g2 + root, 1.0)  # the same without cancellation
    return np.where(g2 < 1.0, below, above)


def _sigmoid_as_tanh(g2: Floats, s2: Floats) -> tuple[Floats, Floats]:
    """Gain² and input variance of the tanh network with variance p = q/4 of the sigmoid network.

    sigmoid(u) = ½ (1 + tanh(u/2)), hence E[sigmoid²] = ¼ (1 + E[tanh(u/2)²]) and
    E[sigmoid'²] = E[tanh'(u/2)²] / 16, with u/2 ~ N(0, q/4).
    """
    return g2 / 16.0, g2 / 16.0 + s2 / 4.0


def _linear_slope_square(activation: str) -> float:
    """E[phi'²] where it does not depend on q; also E[phi²] / q."""
    return {"identity": 1.0, "relu": 0.5}[activation]
