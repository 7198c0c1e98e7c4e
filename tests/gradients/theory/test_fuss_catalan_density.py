"""Fuss-Catalan numbers and densities against closed forms, moments and simulated products."""

import math

import numpy as np
import pytest
from scipy import integrate

from rnnlab.gradients import theory

LN10 = math.log(10.0)


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
