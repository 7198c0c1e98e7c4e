"""Products of Gaussian matrices against SciPy and simulated ones."""

import math

import numpy as np
import pytest
from scipy import special

from rnnlab.gradients import theory


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
