"""Linear networks against exact arithmetic and powers of their matrices."""

import decimal
import math

import numpy as np
import pytest

from rnnlab.gradients import theory


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
