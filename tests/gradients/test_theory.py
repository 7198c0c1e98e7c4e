"""The theory against closed forms, exact arithmetic, other libraries and brute-force simulation."""

import decimal
import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, special

from rnnlab.errors import UsageError
from rnnlab.gradients import theory
from rnnlab.gradients.theory.mean_field import tanh_moments

LN10 = math.log(10.0)


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


# Bounds -------------------------------------------------------------------------------------------


def test_bound_and_radius_are_powers():
    np.testing.assert_allclose(theory.log10_bound(1.1, [0, 1, 10]), np.log10(1.1) * np.r_[0, 1, 10])
    np.testing.assert_allclose(theory.log10_bound(8.0, 3, "sigmoid"), np.log10(8.0))
    np.testing.assert_allclose(
        theory.log10_radius([0.5, 2.0], 10_000), [-3010.2999566, 3010.2999566]
    )
    assert theory.log10_bound(np.ones((3, 1)), np.arange(4)).shape == (3, 4)


@pytest.mark.parametrize("activation", sorted(theory.MAX_SLOPES))
def test_bound_holds_for_a_jacobian_product_and_is_reached_by_one_unit(activation):
    slopes = {
        "identity": lambda z: np.ones_like(z),
        "relu": lambda z: (z > 0).astype(float),
        "sigmoid": sigmoid_slope,
        "tanh": tanh_slope,
    }
    rng = np.random.default_rng(0)
    wh = rng.standard_normal((6, 6))
    product = np.eye(6)
    for _ in range(5):
        product = product @ (wh * slopes[activation](rng.standard_normal(6)))
    sigma_max = np.linalg.norm(wh, 2)
    assert np.log10(np.linalg.norm(product, 2)) <= theory.log10_bound(sigma_max, 5, activation)
    steepest = slopes[activation](np.linspace(-3, 3, 601)).max()
    assert theory.log10_bound(1.0, 1, activation) == pytest.approx(np.log10(steepest), abs=1e-12)


# Linear networks ----------------------------------------------------------------------------------


def log10_singular_values(matrix, steps):
    return np.log10(np.linalg.svd(np.linalg.matrix_power(matrix, steps), compute_uv=False))


def test_orthogonal_matrix_has_one_singular_value():
    q = np.linalg.qr(np.random.default_rng(1).standard_normal((7, 7)))[0]
    expected = theory.log10_singular_values_orthogonal(1.3, 9)
    np.testing.assert_allclose(log10_singular_values(1.3 * q, 9), expected, atol=1e-12)


def test_normal_matrices():
    rng = np.random.default_rng(2)
    row = rng.standard_normal(6)
    circulant = np.stack([np.roll(row, k) for k in range(6)])
    symmetric = circulant + circulant.T
    for matrix in (circulant, symmetric):
        eigenvalues = np.linalg.eigvals(matrix)
        got = theory.log10_singular_values_normal(eigenvalues, [1, 4])
        for values, steps in zip(got, (1, 4), strict=True):
            np.testing.assert_allclose(values, log10_singular_values(matrix, steps), atol=1e-11)
        frobenius = np.log10(np.linalg.norm(np.linalg.matrix_power(matrix, 4)))
        assert theory.log10_frobenius_normal(eigenvalues, 4) == pytest.approx(frobenius, abs=1e-12)


def test_normal_matrix_with_zero_eigenvalue_and_long_time():
    got = theory.log10_singular_values_normal([0.0, 0.5j], [[0], [10_000]])
    np.testing.assert_array_equal(got[0, 0], [0.0, 0.0])
    np.testing.assert_allclose(got[1, 0], [10_000 * np.log10(0.5), -np.inf])
    assert theory.log10_frobenius_normal([0.0], 3) == -np.inf


@pytest.mark.parametrize("eigenvalue", [0.9, -1.1, 0.6 + 0.5j, 0.0])
@pytest.mark.parametrize("steps", [0, 1, 3, 12])
def test_jordan_block_against_matrix_power(eigenvalue, steps):
    block = np.eye(5, dtype=complex) * eigenvalue + np.eye(5, k=1)
    power = np.linalg.matrix_power(block, steps)
    with np.errstate(divide="ignore"):
        sigma_max, frobenius = np.log10([np.linalg.norm(power, 2), np.linalg.norm(power)])
    got = theory.log10_sigma_max_jordan(eigenvalue, 5, steps)
    assert got == pytest.approx(sigma_max, abs=1e-13)
    got = theory.log10_frobenius_jordan(eigenvalue, 5, steps)
    assert got == pytest.approx(frobenius, abs=1e-13)


@pytest.mark.parametrize("eigenvalue", [0.5, 0.999, 1.5])
def test_jordan_block_after_ten_thousand_steps(eigenvalue):
    size, steps = 6, 10_000
    with decimal.localcontext(prec=60):
        base = decimal.Decimal(eigenvalue)
        entries = [math.comb(steps, k) * base ** (steps - k) for k in range(size)]
        scale = max(entries)
        log10_scale = float(scale.log10())
        ratios = [float(entry / scale) for entry in entries]
    power = sum(ratio * np.eye(size, k=k) for k, ratio in enumerate(ratios))
    expected = np.log10(np.linalg.norm(power, 2)) + log10_scale
    got = theory.log10_sigma_max_jordan(eigenvalue, size, steps)
    assert got == pytest.approx(expected, abs=1e-9, rel=1e-13)
    expected = np.log10(np.linalg.norm(power)) + log10_scale
    got = theory.log10_frobenius_jordan(eigenvalue, size, steps)
    assert got == pytest.approx(expected, abs=1e-9, rel=1e-13)


def test_jordan_block_broadcasts_and_exceeds_the_radius():
    radii, steps = np.array([[0.5], [0.9], [1.1]]), np.array([1, 10, 1000, 10_000])
    got = theory.log10_sigma_max_jordan(radii, 64, steps)
    assert got.shape == (3, 4) and np.all(np.isfinite(got))
    assert np.all(got > theory.log10_radius(radii, steps))
    assert theory.log10_sigma_max_jordan(0.9, 1, 50) == pytest.approx(theory.log10_radius(0.9, 50))


# Gaussian products --------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [1, 2, 3, 32, 1000])
def test_gaussian_exponents_against_scipy(hidden):
    index = np.arange(1, hidden + 1)
    expected = np.log(1.2) + 0.5 * (np.log(2 / hidden) + special.digamma((hidden - index + 1) / 2))
    np.testing.assert_allclose(
        theory.gaussian_spectrum(1.2, hidden), expected, atol=2e-15, rtol=2e-15
    )
    assert theory.gaussian_exponent(1.2, hidden) == pytest.approx(expected[0], abs=2e-15)


def test_gaussian_spectrum_against_qr_of_independent_products():
    hidden, steps, gain = 5, 10_000, 0.9
    factors = np.random.default_rng(3).standard_normal((steps, hidden, hidden))
    factors *= gain / math.sqrt(hidden)
    basis, total = np.eye(hidden), np.zeros(hidden)
    for factor in factors:
        basis, upper = np.linalg.qr(factor @ basis)
        total += np.log(np.abs(np.diag(upper)))
    spectrum = theory.gaussian_spectrum(gain, hidden)
    # ln of a chi variable of nu degrees of freedom has variance psi'(nu/2)/4
    error = np.sqrt(special.polygamma(1, np.arange(hidden, 0, -1) / 2) / 4 / steps)
    assert np.all(np.abs(total / steps - spectrum) < 4 * error)
    # E ln|det W| is the sum of the exponents
    log_det = np.linalg.slogdet(factors)[1].mean()
    assert log_det == pytest.approx(spectrum.sum(), abs=0.05)


def test_gaussian_mean_growth_of_independent_products():
    rng = np.random.default_rng(4)
    hidden, steps, gain = 4, 3, 0.8
    factors = rng.standard_normal((steps, 100_000, hidden, hidden)) * gain / math.sqrt(hidden)
    state = np.broadcast_to(np.eye(hidden)[0], (100_000, 1, hidden))
    for factor in factors:
        state = state @ factor
    squares = np.sum(state**2, axis=(-2, -1))
    rms = 0.5 * np.log10(squares.mean())
    assert rms == pytest.approx(theory.log10_rms_growth_gaussian(gain, steps), abs=0.02)
    mean_log = 0.5 * np.log(squares).mean()
    assert mean_log == pytest.approx(steps * theory.gaussian_exponent(gain, hidden), abs=0.01)


def test_gaussian_power_of_one_matrix_has_the_same_second_moment_for_short_times():
    wh = np.random.default_rng(5).standard_normal((300, 300)) * (1.4 / math.sqrt(300))
    power = np.linalg.matrix_power(wh, 4)
    rms = np.log10(np.linalg.norm(power) / math.sqrt(300))
    assert rms == pytest.approx(theory.log10_rms_growth_gaussian(1.4, 4), abs=0.02)


def test_triangle_law():
    got = np.exp(theory.gaussian_spectrum(2.0, 2000))[::200]
    limit = 2 * np.sqrt(1 - np.arange(0, 2000, 200) / 2000)
    np.testing.assert_allclose(got, limit, atol=2e-3)  # O(1/N)


# Fuss-Catalan -------------------------------------------------------------------------------------


def test_fuss_catalan_numbers_and_edge():
    assert [theory.fuss_catalan_number(1, k) for k in range(6)] == [1, 1, 2, 5, 14, 42]
    assert [theory.fuss_catalan_number(2, k) for k in range(6)] == [1, 1, 3, 12, 55, 273]
    np.testing.assert_allclose(theory.fuss_catalan_edge([1, 2, 3]), [4, 27 / 4, 256 / 27])
    assert theory.fuss_catalan_edge(10_000) == pytest.approx(math.e * 10_000.5, rel=1e-8)


def test_fuss_catalan_of_one_factor_is_marchenko_pastur():
    x = np.r_[1e-12, np.linspace(0.01, 3.99, 50)]
    expected = np.sqrt((4 - x) / x) / (2 * math.pi)
    np.testing.assert_allclose(theory.fuss_catalan_density(x, 1), expected, rtol=1e-12)
    np.testing.assert_array_equal(theory.fuss_catalan_density([0.0, 4.0, 5.0], 1), [np.inf, 0, 0])


def test_fuss_catalan_of_two_factors_is_the_closed_form_of_penson_and_zyczkowski():
    x = np.linspace(0.01, 6.7, 40)
    root = np.cbrt(27 + 3 * np.sqrt(81 - 12 * x))
    expected = np.cbrt(2) * np.sqrt(3) * (np.cbrt(2) * root**2 - 6 * np.cbrt(x))
    expected /= 12 * math.pi * x ** (2 / 3) * root
    np.testing.assert_allclose(theory.fuss_catalan_density(x, 2), expected, rtol=1e-11)


@pytest.mark.parametrize("factors", [1, 2, 5, 40])
def test_fuss_catalan_moments(factors):
    edge = 0.5 * np.log10(theory.fuss_catalan_edge(factors))
    # u = edge - v² takes the square-root edge out of the integrand
    v = np.linspace(0.0, math.sqrt(10.0 + 5 * factors), 20_001)
    density = 2 * v * theory.fuss_catalan_log10_density(edge - v**2, factors)
    for order in range(5):
        moment = integrate.simpson(density * 100.0 ** (order * (edge - v**2)), x=v)
        assert moment == pytest.approx(theory.fuss_catalan_number(factors, order), rel=1e-7)


def test_fuss_catalan_densities_agree_and_scale_with_gain():
    u = np.linspace(-2.0, 0.4, 20)
    for factors in (1, 3):
        per_decade = theory.fuss_catalan_log10_density(u, factors)
        x = 100.0**u
        expected = 2 * LN10 * x * theory.fuss_catalan_density(x, factors)
        np.testing.assert_allclose(per_decade, expected, rtol=1e-11)
        shifted = theory.fuss_catalan_log10_density(u + factors * np.log10(1.7), factors, gain=1.7)
        np.testing.assert_allclose(shifted, per_decade, rtol=1e-9)


@pytest.mark.parametrize("one_matrix", [False, True])
def test_fuss_catalan_density_against_simulated_products(one_matrix):
    rng = np.random.default_rng(6)
    hidden, factors = 300, 3
    matrices = rng.standard_normal((1 if one_matrix else factors, hidden, hidden))
    matrices = list(matrices / math.sqrt(hidden)) * (factors if one_matrix else 1)
    sigma = np.linalg.svd(np.linalg.multi_dot(matrices), compute_uv=False)
    u = np.linspace(-6.0, 0.5, 6501)
    cumulative = integrate.cumulative_trapezoid(
        theory.fuss_catalan_log10_density(u, factors), u, initial=0.0
    )
    rank = (np.arange(hidden) + 0.5) / hidden
    distance = np.abs(np.interp(np.sort(np.log10(sigma)), u, cumulative) - rank)
    assert distance.max() < 0.02  # eigenvalues repel: far closer than 1/sqrt(hidden) = 0.06


# Mean field ---------------------------------------------------------------------------------------


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


# Forget gate --------------------------------------------------------------------------------------


def test_time_constant_of_a_forget_gate():
    assert theory.forget_time_constant(0.0) == pytest.approx(1 / math.log(2))
    bias = np.array([-800.0, -3.0, 1.0, 5.0, 30.0])
    with decimal.localcontext(prec=40):
        exact = [float(1 / (1 + (-decimal.Decimal(b)).exp()).ln()) for b in bias]
    np.testing.assert_allclose(theory.forget_time_constant(bias), exact, rtol=1e-14)
    assert theory.forget_time_constant(1000.0) == np.inf
    growth = theory.log10_forget_growth(1.0, [0, 1, 10_000])
    np.testing.assert_allclose(growth, np.log10(special.expit(1.0)) * np.r_[0, 1, 10_000])


def test_forget_bias_is_the_inverse_and_chrono_its_approximation():
    tau = np.array([0.001, 0.5, 2.0, 100.0, 1e6])
    np.testing.assert_allclose(
        theory.forget_time_constant(theory.forget_bias(tau)), tau, rtol=1e-12
    )
    tau = np.array([2.0, 100.0, 1e6])
    np.testing.assert_allclose(special.expit(theory.chrono_bias(tau)), 1 - 1 / tau)
    shift = theory.forget_bias(tau[1:]) - theory.chrono_bias(tau[1:])
    np.testing.assert_allclose(shift, 1 / (2 * tau[1:]), rtol=0.02)
    measured = theory.forget_time_constant(theory.chrono_bias(100.0))
    assert measured == pytest.approx(99.5, abs=0.01)


# Bad input ----------------------------------------------------------------------------------------

SIZES: Any = [2, 3]  # one size per call
WRONG = [
    (lambda: theory.log10_bound(np.nan, 3), "sigma_max=nan"),
    (lambda: theory.log10_bound([1.0, -2.0], 3), "sigma_max=-2"),
    (lambda: theory.log10_bound(1.0, 3, "swish"), "identity, relu, sigmoid, tanh"),
    (lambda: theory.log10_bound("wide", 3), "sigma_max='wide'"),
    (lambda: theory.log10_radius(0.0, 3), "radius=0"),
    (lambda: theory.log10_radius(1.0, -1), "steps=-1"),
    (lambda: theory.log10_radius(1.0, 2.5), "steps=2.5"),
    (lambda: theory.log10_singular_values_orthogonal(np.inf, 1), "gain=inf"),
    (lambda: theory.log10_singular_values_normal(0.5, 1), "eigenvalues: shape"),
    (lambda: theory.log10_singular_values_normal([1j * np.nan], 1), "eigenvalues=nan"),
    (lambda: theory.log10_singular_values_normal("wide", 1), "eigenvalues='wide'"),
    (lambda: theory.log10_sigma_max_jordan(0.5, 0, 1), "size=0"),
    (lambda: theory.log10_frobenius_jordan(0.5, SIZES, 1), "size: one integer"),
    (lambda: theory.gaussian_exponent(1.0, 0), "hidden=0"),
    (lambda: theory.gaussian_spectrum(-1.0, 3), "gain=-1"),
    (lambda: theory.fuss_catalan_number(0, 1), "factors=0"),
    (lambda: theory.fuss_catalan_density(-1.0, 1), "x=-1"),
    (lambda: theory.fuss_catalan_log10_density(np.nan, 1), "log10_sigma=nan"),
    (lambda: theory.mean_field_variance(0.0), "gain=0"),
    (lambda: theory.mean_field_exponent(1.0, -0.1), "input_std=-0.1"),
    (lambda: theory.mean_field_exponent(1.0, 0.0, "gelu"), "activation='gelu'"),
    (lambda: theory.critical_gain(np.nan), "input_std=nan"),
    (lambda: theory.critical_gain(0.0, "gelu"), "activation='gelu'"),
    (lambda: theory.forget_time_constant(np.inf), "bias=inf"),
    (lambda: theory.forget_bias(0.0), "time_constant=0"),
    (lambda: theory.chrono_bias(1.0), "time_constant=1"),
]


@pytest.mark.parametrize("call,message", WRONG, ids=[message for _, message in WRONG])
def test_wrong_use_is_told_in_one_line(call, message):
    with pytest.raises(UsageError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)
