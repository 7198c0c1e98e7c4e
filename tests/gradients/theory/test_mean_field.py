"""The mean field against adaptive quadrature, SciPy and simulated networks."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize, special

from rnnlab.gradients import theory
from rnnlab.gradients.theory.mean_field import tanh_moments


def tanh_slope(u):
    decay = np.exp(-2 * np.abs(u))  # 1/cosh² would overflow
    return 4 * decay / (1 + decay) ** 2


def sigmoid_slope(u):
    return special.expit(u) * special.expit(-u)


def gaussian_mean(function, q):
    """E[function(u)], u ~ N(0, q), by adaptive quadrature over the two half axes."""
    if q == 0:
        return float(function(0.0))
    deviation = math.sqrt(q)

    def integrand(u):
        return function(u) * math.exp(-0.5 * (u / deviation) ** 2)

    marks = sorted({min(m, 38 * deviation) for m in (0.0, 1.0, 5.0, 20.0, 3 * deviation)})
    total = 0.0
    for left, right in zip(marks, [*marks[1:], 38 * deviation], strict=True):
        for a, b in ((left, right), (-right, -left)):
            total += integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-12, limit=200)[0]
    return total / (deviation * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("q", [0.0, 1e-8, 0.05, 0.999, 1.0, 4.0, 20.7, 400.0, 1e4])
def test_tanh_moments_against_adaptive_quadrature(q):
    moments = tanh_moments(q)
    assert moments.square == pytest.approx(gaussian_mean(lambda u: math.tanh(u) ** 2, q), rel=1e-11)
    assert moments.slope == pytest.approx(gaussian_mean(tanh_slope, q), rel=1e-11)
    slope_square = gaussian_mean(lambda u: tanh_slope(u) ** 2, q)
    assert moments.slope_square == pytest.approx(slope_square, rel=1e-11)


def test_tanh_moments_do_not_depend_on_the_grid():
    q = np.r_[0.0, np.geomspace(1e-12, 1e12, 200)]
    for coarse, fine in zip(tanh_moments(q), tanh_moments(q, intervals=512), strict=True):
        np.testing.assert_allclose(coarse, fine, rtol=1e-13)


def test_tanh_moments_for_large_variance():
    q = 1e12  # E[f(u)] -> integral of f / sqrt(2 pi q); integrals of tanh' and tanh'²: 2 and 4/3
    moments = tanh_moments(q)
    assert moments.slope * math.sqrt(2 * math.pi * q) == pytest.approx(2.0, rel=1e-11)
    assert moments.slope_square * math.sqrt(2 * math.pi * q) == pytest.approx(4 / 3, rel=1e-11)


@pytest.mark.parametrize("gain", [0.5, 0.99, 1.0, 1.01, 1.3, 2.0, 5.0, 20.0])
@pytest.mark.parametrize("input_std", [0.0, 0.1, 2.0])
def test_tanh_variance_and_exponent_against_scipy(gain, input_std):
    q = theory.mean_field_variance(gain, input_std)
    if input_std == 0 and gain <= 1:
        assert q == 0
        assert theory.mean_field_exponent(gain) == pytest.approx(math.log(gain), abs=1e-15)
        return

    def excess(q):
        return gain**2 * gaussian_mean(lambda u: math.tanh(u) ** 2, q) + input_std**2 - q

    least = (gain**2 - 1) / (2 * gain**2) if input_std == 0 else input_std**2
    expected = optimize.brentq(excess, 0.99 * least, gain**2 + input_std**2, xtol=1e-15)
    assert q == pytest.approx(expected, rel=1e-9)
    slope_square = gaussian_mean(lambda u: tanh_slope(u) ** 2, expected)
    exponent = theory.mean_field_exponent(gain, input_std)
    assert exponent == pytest.approx(0.5 * math.log(gain**2 * slope_square), abs=1e-10)


def test_tanh_near_the_transition():
    excess = np.array([1e-10, 1e-8, 1e-6, 1e-4])
    # q - 2q² + (17/3) q³ = q/gain² gives q = d/2 + (17/24) d² + ..., d = 1 - 1/gain²
    d = -np.expm1(-2 * np.log1p(excess))
    q = theory.mean_field_variance(1 + excess)
    np.testing.assert_allclose(q, d / 2 + 17 / 24 * d**2, rtol=1e-5)
    exponent = theory.mean_field_exponent(1 + excess)
    # lambda = d²/6 + O(d³)
    np.testing.assert_allclose(exponent, d**2 / 6, rtol=1e-3, atol=1e-15)
    # at gain 1 a weak input s gives 2 q² = s² + O(q³)
    np.testing.assert_allclose(
        theory.mean_field_variance(1.0, 1e-5), 1e-5 / math.sqrt(2), rtol=1e-4
    )


@pytest.mark.parametrize("gain,input_std", [(1.0, 0.0), (4.0, 0.0), (12.0, 1.0), (40.0, 0.3)])
def test_sigmoid_against_scipy(gain, input_std):
    def excess(q):
        return gain**2 * gaussian_mean(lambda u: special.expit(u) ** 2, q) + input_std**2 - q

    q = optimize.brentq(excess, 1e-3, gain**2 + input_std**2, xtol=1e-14)
    assert theory.mean_field_variance(gain, input_std, "sigmoid") == pytest.approx(q, rel=1e-10)
    slope_square = gaussian_mean(lambda u: sigmoid_slope(u) ** 2, q)
    exponent = theory.mean_field_exponent(gain, input_std, "sigmoid")
    assert exponent == pytest.approx(0.5 * math.log(gain**2 * slope_square), abs=1e-10)


def test_relu_and_identity_closed_forms():
    gains = np.array([0.5, 1.0, 1.2, 2.0])
    inf = np.inf
    np.testing.assert_allclose(
        theory.mean_field_variance(gains, 0.5, "relu"), [0.25 / 0.875, 0.5, 0.25 / 0.28, inf]
    )
    np.testing.assert_allclose(theory.mean_field_variance(gains, 0.0, "relu"), [0, 0, 0, inf])
    np.testing.assert_allclose(
        theory.mean_field_variance(gains, 1.0, "identity"), [1 / 0.75, inf, inf, inf]
    )
    for input_std in (0.0, 1.0):
        got = theory.mean_field_exponent(gains, input_std, "relu")
        np.testing.assert_allclose(got, 0.5 * np.log(gains**2 / 2), atol=1e-15)
        got = theory.mean_field_exponent(gains, input_std, "identity")
        np.testing.assert_allclose(got, np.log(gains), atol=1e-15)
    variance = 1.7  # E[relu(u)²] = q/2, the equation behind the fixed point
    assert gaussian_mean(lambda u: max(u, 0.0) ** 2, variance) == pytest.approx(variance / 2)


def test_critical_gain():
    assert theory.critical_gain() == 1.0
    assert theory.critical_gain(0.7, "relu") == pytest.approx(math.sqrt(2))
    assert theory.critical_gain(0.7, "identity") == 1.0
    deviations = np.array([0.0, 1e-3, 0.1, 1.0, 10.0])
    gains = theory.critical_gain(deviations)
    assert gains.shape == (5,) and np.all(np.diff(gains) > 0)
    np.testing.assert_allclose(theory.mean_field_exponent(gains, deviations), 0.0, atol=1e-13)
    gains = theory.critical_gain(deviations, "sigmoid")
    assert np.all(gains > 4)
    exponent = theory.mean_field_exponent(gains, deviations, "sigmoid")
    np.testing.assert_allclose(exponent, 0.0, atol=1e-13)


def test_exponent_rises_with_the_gain_so_that_the_critical_gain_is_unique():
    gains = np.geomspace(0.3, 100.0, 400)
    for activation in theory.MAX_SLOPES:
        for input_std in (0.0, 0.01, 1.0):
            assert np.all(np.diff(theory.mean_field_exponent(gains, input_std, activation)) > 0)


def test_mean_field_broadcasts():
    gains, deviations = np.array([[0.5], [2.0]]), np.array([0.0, 0.1, 1.0])
    table = theory.mean_field_exponent(gains, deviations)
    assert table.shape == (2, 3)
    assert table[1, 2] == theory.mean_field_exponent(2.0, 1.0)


SIMULATIONS = [
    ("tanh", 2.0, 0.0, 0.03),
    ("tanh", 5.0, 0.0, 0.03),
    ("tanh", 1.3, 0.5, 0.02),
    ("sigmoid", 3.0, 1.0, 0.03),
    ("relu", 1.2, 0.5, 0.04),
]


@pytest.mark.parametrize("activation,gain,input_std,tolerance", SIMULATIONS)
def test_mean_field_exponent_against_a_simulated_network(activation, gain, input_std, tolerance):
    hidden, warmup, steps = 400, 100, 500
    phi = {"tanh": np.tanh, "sigmoid": special.expit, "relu": lambda z: np.maximum(z, 0.0)}
    slope = {
        "tanh": lambda h: 1 - h**2,
        "sigmoid": lambda h: h * (1 - h),
        "relu": lambda h: (h > 0).astype(float),
    }
    rng = np.random.default_rng(7)
    wh = rng.standard_normal((hidden, hidden)) * (gain / math.sqrt(hidden))
    h, tangent = rng.standard_normal((2, hidden))
    total = 0.0
    for t in range(warmup + steps):
        h = phi[activation](h @ wh + input_std * rng.standard_normal(hidden))
        tangent = (tangent @ wh) * slope[activation](h)
        norm = np.linalg.norm(tangent)
        tangent /= norm
        total += math.log(norm) if t >= warmup else 0.0
    expected = theory.mean_field_exponent(gain, input_std, activation)
    assert total / steps == pytest.approx(expected, abs=tolerance)
