import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.gradients import scaled
from rnnlab.gradients.scaled import Scaled

DTYPES = [jnp.float32, jnp.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_two_are_exact_and_underflow_to_zero(dtype):
    info = np.finfo(dtype)
    exponents = np.arange(info.minexp, info.maxexp, dtype=np.int32)
    expected = np.ldexp(np.ones((), dtype), exponents)
    np.testing.assert_array_equal(scaled.power_of_two(jnp.asarray(exponents), dtype), expected)
    assert scaled.power_of_two(jnp.int32(-100_000), dtype) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_normalise_moves_the_magnitude_and_keeps_every_bit(dtype):
    values = np.array([[3e30, -1e10], [2e-37, 1e-37], [0.0, 0.0], [0.75, -0.5]], dtype)
    mantissa, exponent = jax.jit(scaled.normalise)(jnp.asarray(values), jnp.zeros(4, jnp.int32))
    mantissa, exponent = np.asarray(mantissa), np.asarray(exponent)
    peaks = np.abs(mantissa).max(axis=1)
    assert np.all((peaks[[0, 1, 3]] >= 0.5) & (peaks[[0, 1, 3]] < 1))
    assert exponent[2] == scaled.ZERO_EXPONENT
    for row in (0, 1, 3):
        np.testing.assert_array_equal(np.ldexp(mantissa[row], exponent[row]), values[row])


def test_add_far_beyond_the_range():
    a = Scaled(jnp.array([0.75, 0.5, 0.5]), jnp.array([5000, -7000, 40], jnp.int32))
    b = Scaled(jnp.array([0.5, -0.5, 0.5]), jnp.array([5001, -7000, -9000], jnp.int32))
    mantissa, exponent = jax.jit(scaled.add)(a, b)
    np.testing.assert_array_equal(mantissa, [0.875, 0.0, 0.5])
    np.testing.assert_array_equal(exponent, [5001, scaled.ZERO_EXPONENT, 40])


@pytest.mark.parametrize("dtype", DTYPES)
def test_norms_do_not_lose_squares(dtype):
    @jax.jit
    def measure(a):
        norm = scaled.norm(a)
        return scaled.log10(norm), scaled.log10(scaled.hypot(norm, norm))

    tiny = jnp.asarray([[3e-30, 4e-30]], dtype)
    norm, both = measure(Scaled(tiny, jnp.array([-3000], jnp.int32)))
    expected = math.log10(5e-30) - 3000 * math.log10(2)
    np.testing.assert_allclose(norm, [expected], rtol=1e-7)
    np.testing.assert_allclose(both, [expected + 0.5 * math.log10(2)], rtol=1e-7)


def test_matmul_keeps_rows_of_different_magnitude_apart():
    a = np.triu(np.arange(1.0, 10.0).reshape(3, 3))
    b = np.arange(1.0, 10.0).reshape(3, 3)
    exponents = np.array([10, -4000, -9000], np.int32)
    rows = jax.jit(scaled.matmul)(jnp.asarray(a), Scaled(jnp.asarray(b), jnp.asarray(exponents)))
    expected = np.log10(np.diag(a)[:, None] * b) + exponents[:, None] * math.log10(2)
    got = scaled.log10(Scaled(rows.mantissa, rows.exponent[:, None]))
    np.testing.assert_allclose(got, expected, rtol=1e-14)


@pytest.mark.parametrize("count", [1, 5])
def test_product_beyond_the_range(count):
    @jax.jit
    def log10_product(mantissa, exponent):
        return scaled.log10_product(scaled.normalise(mantissa, exponent))

    mantissa = jnp.full((2, count), 0.6).at[1, 0].set(0)
    got = log10_product(mantissa, jnp.full((2, count), -3000, jnp.int32))
    assert got[0] == pytest.approx(count * (math.log10(0.6) - 3000 * math.log10(2)), rel=1e-14)
    assert got[1] == -np.inf


@pytest.mark.parametrize("dtype", DTYPES)
def test_product_of_exponents_whose_sum_exceeds_int32(dtype):
    exponent = np.array([-(2**28), -(2**28) + 5, -7] * 5, np.int32)
    mantissa = jnp.full(15, 0.75, dtype)
    got = jax.jit(scaled.log10_product)(Scaled(mantissa, jnp.asarray(exponent)))
    exact = 15 * math.log10(0.75) + int(exponent.astype(np.int64).sum()) * math.log10(2)
    assert exponent.astype(np.int64).sum() < -(2**31) and got.dtype == dtype
    assert float(got) == pytest.approx(exact, rel=float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", DTYPES)
def test_log10_is_right_to_the_last_place(dtype):
    rng = np.random.default_rng(0)
    mantissa = rng.uniform(0.5, 1, 2000).astype(dtype)
    exponent = rng.integers(-100_000, 100_000, 2000, dtype=np.int32)
    exact = np.log10(mantissa.astype(np.float64)) + exponent * math.log10(2)
    got = jax.jit(scaled.log10)(Scaled(jnp.asarray(mantissa), jnp.asarray(exponent)))
    assert got.dtype == dtype
    units = np.abs(np.asarray(got, np.float64) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert units.max() < (1 if dtype == jnp.float32 else 2)


def test_log10_of_zero_is_minus_infinity():
    @jax.jit
    def measure(a):
        zero = scaled.exact(a, 1)
        return scaled.log10(scaled.norm(zero)), scaled.log10(scaled.norm(scaled.add(zero, zero)))

    for got in measure(jnp.zeros((2, 3))):
        np.testing.assert_array_equal(got, [-np.inf] * 2)
