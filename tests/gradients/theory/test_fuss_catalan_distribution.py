"""The distribution function of the Fuss-Catalan law, and the distance of samples from it."""

import numpy as np
import pytest
from scipy import stats

from rnnlab.errors import UsageError
from rnnlab.gradients import theory


def log10_svd(matrix):
    return np.log10(np.linalg.svd(matrix, compute_uv=False))


def test_one_factor_follows_the_quarter_circle():
    sigma = np.linspace(0.01, 1.99, 50)
    exact = (sigma * np.sqrt(4 - sigma**2) / 2 + 2 * np.arcsin(sigma / 2)) / np.pi
    law = theory.fuss_catalan_distribution(np.log10(3 * sigma), 1, 3.0)
    assert np.allclose(law, exact, atol=1e-5)


@pytest.mark.parametrize("factors", [1, 4, 64])
def test_the_law_is_whole_and_has_its_mean(factors):
    edge = np.log10(theory.fuss_catalan_edge(factors)) / 2
    u = np.linspace(edge - 8 * (factors + 1), edge, 20001)
    law = theory.fuss_catalan_distribution(u, factors)
    assert law[-1] == pytest.approx(1, abs=1e-5) and (np.diff(law) >= 0).all()
    mean_square = np.sum(np.diff(law) * 10 ** (u[1:] + u[:-1]))
    assert mean_square == pytest.approx(theory.fuss_catalan_number(factors, 1), rel=0.02)


def test_the_distance_is_that_of_kolmogorov_and_smirnov():
    samples = np.random.default_rng(0).normal(-0.2, 0.3, 100)
    for factors in (1, 3):
        law = lambda u, n=factors: theory.fuss_catalan_distribution(u, n)  # noqa: E731
        expected = stats.kstest(samples, law).statistic
        assert theory.fuss_catalan_distance(samples, factors) == pytest.approx(expected)
        as_matrix = theory.fuss_catalan_distance(samples.reshape(10, 10), factors)
        assert as_matrix == pytest.approx(expected)


def test_wide_products_follow_the_law():
    rng = np.random.default_rng(0)
    factors = 2.0 * rng.normal(size=(4, 200, 200)) / 200**0.5
    product, power = np.linalg.multi_dot(factors), np.linalg.matrix_power(factors[0], 4)
    for matrix in (product, power):
        assert theory.fuss_catalan_distance(log10_svd(matrix), 4, 2.0) < 0.02
    assert theory.fuss_catalan_distance(log10_svd(product), 3, 2.0) > 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.fuss_catalan_distribution(0.0, 0), "factors=0"),
        (lambda: theory.fuss_catalan_distribution(0.0, 1, -1.0), "gain=-1"),
        (lambda: theory.fuss_catalan_distance([], 1), "log10_sigma: must hold"),
    ],
)
def test_wrong_use_is_told_in_one_line(call, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        call()
    assert "\n" not in str(error.value)
