import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from rnnlab.cells import LSTM, Elman
from rnnlab.combinators import Stack, bidirectional
from rnnlab.errors import UsageError
from rnnlab.gradients import one_step_jacobian, state_jacobian
from tests import quick
from tests.gradients.networks import CELLS, Matrices, autodiff_jacobian, measured, network

LENGTHS = [10_000, 0, 1, 300]


def precise_logs(matrices):
    """`log10` of the singular values, descending, and of |det| of a product, in 2000 digits."""
    with mpmath.workdps(2000):
        product = mpmath.eye(matrices.shape[-1])
        for matrix in matrices:
            product = product * mpmath.matrix(matrix.tolist())
        squares = mpmath.eigsy(product.T * product, eigvals_only=True)
        tiny = mpmath.mpf(10) ** -1900  # in place of zeros, which come out as rounding
        logs = [float(mpmath.log10(abs(square) + tiny) / 2) for square in squares]
        log10_det = float(mpmath.log10(abs(mpmath.det(product)) + tiny))
        return np.sort(logs)[::-1], log10_det


def linear_network(wh, dtype):
    """An identity network with this recurrent matrix, its parameters and no input."""
    hidden = len(wh)
    cell = Elman(hidden, activation="identity")
    params = cell.init(jax.random.key(0), 1, dtype) | {"wh": jnp.asarray(wh, dtype)}
    return cell, params, jnp.zeros((max(LENGTHS), 1), dtype)


@pytest.mark.parametrize(
    "name, of, wrt, rows, columns",
    [
        ("lstm", None, None, slice(0, 8), slice(0, 8)),
        ("stack", "1", "0.c", slice(8, 11), slice(4, 8)),
    ],
)
def test_blocks_are_those_of_autodiff(name, of, wrt, rows, columns):
    cell = CELLS[name]
    params, xs, state = network(cell, steps=5)
    got = measured(state_jacobian, cell, params, xs, state, lengths=[5, 2], of=of, wrt=wrt)
    for i, length in enumerate(got.lengths.tolist()):
        blocks = autodiff_jacobian(cell, params, xs[:length], state)[:, rows, columns]
        values = np.log10(np.linalg.svd(blocks, compute_uv=False))
        # NumPy's smallest values are right to eps times the largest.
        tolerance = 1e-14 * 10 ** (values[:, :1] - values) + 1e-12
        assert np.all(np.abs(got.log10_singular_values[i] - values) < tolerance)
        frobenius = np.log10(np.linalg.norm(blocks, axis=(-2, -1)))
        np.testing.assert_allclose(got.log10_frobenius[i], frobenius, atol=1e-12)
        assert np.all(np.abs(got.log10_det[i] - values.sum(axis=-1)) < 3 * tolerance[:, -1])
    np.testing.assert_allclose(got.log10_sigma_max, got.log10_singular_values[..., 0], atol=1e-12)
    np.testing.assert_array_equal(got.log10_sigma_min, got.log10_singular_values[..., -1])


def test_one_step_jacobian_is_that_of_autodiff():
    cell = CELLS["stack"]
    params, xs, state = network(cell, steps=1)
    got = one_step_jacobian(cell, params, xs[0], state)
    expected = autodiff_jacobian(cell, params, xs, state)
    np.testing.assert_allclose(got, expected, atol=1e-15)


@pytest.mark.parametrize("dtype, tolerance", [(jnp.float32, 1e-3), (jnp.float64, 1e-9)])
def test_normal_and_orthogonal_networks_over_10000_steps(dtype, tolerance):
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    eigenvalues = np.array([1.5, 1.5, 1.0, -0.9, 0.1])
    symmetric = ((q * eigenvalues) @ q.T).astype(dtype)
    symmetric = np.triu(symmetric) + np.triu(symmetric, 1).T
    measured = np.sort(np.abs(np.linalg.eigvalsh(symmetric.astype(np.float64))))[::-1]
    times = np.array(LENGTHS, np.float64)
    for wh, values in ((symmetric, measured), (0.5 * q, np.full(5, 0.5))):
        got = state_jacobian(*linear_network(wh, dtype), lengths=LENGTHS)
        exact = times[:, None] * np.log10(values)
        assert got.log10_singular_values.dtype == dtype
        np.testing.assert_array_equal(got.lengths, LENGTHS)
        np.testing.assert_allclose(got.log10_singular_values, exact, rtol=0, atol=tolerance)
        # A sum of five logarithms, where float32 itself has steps of 1/512.
        np.testing.assert_allclose(got.log10_det, exact.sum(axis=1), rtol=1e-7, atol=tolerance)
        top = exact[:, :1]
        frobenius = top[:, 0] + 0.5 * np.log10(np.sum(10 ** (2 * (exact - top)), axis=1))
        np.testing.assert_allclose(got.log10_frobenius, frobenius, rtol=0, atol=tolerance)


def test_jordan_block_against_exact_arithmetic():
    """`(λI + N)^T` has the entries C(T, j-i) λ^(T-j+i): growth, then decay, far from `λ^T`."""
    wh = 0.75 * np.eye(5) + np.eye(5, k=1)
    got = state_jacobian(*linear_network(wh, jnp.float64), lengths=LENGTHS)
    logs, log10_det = precise_logs(np.broadcast_to(wh, (300, 5, 5)))
    np.testing.assert_allclose(got.log10_sigma_max[3], logs[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.log10_singular_values[3], logs, rtol=0, atol=1e-8)
    np.testing.assert_allclose(got.log10_det[3], log10_det, rtol=0, atol=1e-9)
    with mpmath.workdps(8000):
        entries = [mpmath.binomial(10_000, k) * mpmath.mpf(0.75) ** (10_000 - k) for k in range(5)]
        power = mpmath.matrix(5, 5)
        for i, j in zip(*np.triu_indices(5), strict=True):
            power[int(i), int(j)] = entries[j - i]
        largest = max(mpmath.eigsy(power.T * power, eigvals_only=True))
        sigma_max = float(mpmath.log10(largest) / 2)
        frobenius = float(mpmath.log10(mpmath.sqrt(mpmath.fsum(entry**2 for entry in power))))
    np.testing.assert_allclose(got.log10_sigma_max[0], sigma_max, rtol=0, atol=1e-9)
    np.testing.assert_allclose(got.log10_frobenius[0], frobenius, rtol=0, atol=1e-9)
    np.testing.assert_allclose(got.log10_det[0], 50_000 * np.log10(0.75), rtol=0, atol=1e-9)


def test_random_products_against_high_precision():
    rng = np.random.default_rng(1)
    plain = rng.normal(size=(200, 5, 5)) / np.sqrt(5)
    graded = rng.normal(size=(200, 5, 5)) * np.logspace(0, -3, 5)
    cell = Matrices(5)
    for matrices in (plain, graded):
        xs = jnp.asarray(matrices.reshape(200, 25))
        got = measured(state_jacobian, cell, {}, xs, lengths=[200])
        logs, log10_det = precise_logs(matrices)
        assert logs[0] - logs[-1] > 80
        np.testing.assert_allclose(got.log10_singular_values[0], logs, rtol=0, atol=1e-10)
        np.testing.assert_allclose(got.log10_det[0], log10_det, rtol=0, atol=1e-10)


def test_carousel_without_recurrence_forgets_at_its_gates():
    """With `wh = 0` the block ∂c_T/∂c_0 is diagonal, the product of the forget gates."""
    cell = LSTM(4)
    params, xs, _ = network(cell, steps=3000, batch=())
    params |= {"wh": jnp.zeros_like(params["wh"])}
    got = measured(state_jacobian, cell, params, xs, lengths=[3000], of="c", wrt="c")
    z = np.asarray(xs) @ np.asarray(params["wx"])[:, 4:8] + np.asarray(params["b"])[4:8]
    logs = -np.log1p(np.exp(-z)).sum(axis=0) / np.log(10)
    np.testing.assert_allclose(got.log10_singular_values[0], np.sort(logs)[::-1], atol=1e-9)
    np.testing.assert_allclose(got.log10_det[0], logs.sum(), atol=1e-9)


def test_dead_units_are_exact_zeros():
    matrices = np.random.default_rng(2).normal(size=(200, 5, 5))
    matrices[7, :, 1] = matrices[90, :, 3] = matrices[90, :, 0] = 0
    xs = jnp.asarray(matrices.reshape(200, 25))
    got = measured(state_jacobian, Matrices(5), {}, xs, lengths=[200])
    logs, _ = precise_logs(matrices)
    np.testing.assert_allclose(got.log10_singular_values[0, :3], logs[:3], atol=1e-10)
    assert np.all(np.isneginf(got.log10_singular_values[0, 3:]))
    assert np.isneginf(got.log10_sigma_min[0]) and np.isneginf(got.log10_det[0])
    assert np.sum(np.isneginf(got.log10_qr_diagonal)) == 2


def test_block_of_a_slow_layer_below_a_fast_one():
    slow, fast = (Elman(4, activation="identity") for _ in range(2))
    cell = Stack((slow, fast))
    params, xs, _ = network(cell, steps=500, batch=())
    for layer, gain in zip(params, (1 / 3, 3.0), strict=True):
        layer["wh"] = gain * layer["wh"]
    got = measured(state_jacobian, cell, params, xs, lengths=[500], of="0", wrt="0")
    np.testing.assert_allclose(got.log10_singular_values[0], -500 * np.log10(3), atol=1e-9)


def test_vmap_and_batch_are_the_loop():
    cell = CELLS["tanh"]
    points = [network(cell, steps=30, batch=(), seed=seed) for seed in range(2)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *points)
    mapped = jax.vmap(lambda p, x, s: state_jacobian(cell, p, x, s, lengths=[30, 7]))
    together = quick.jit(mapped)(*stacked)
    for i, point in enumerate(points):
        alone = measured(state_jacobian, cell, *point, lengths=[30, 7])
        np.testing.assert_allclose(
            together.log10_singular_values[i], alone.log10_singular_values, atol=1e-10
        )


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"lengths": [4]}, r"lengths contains 4: must lie in 0\.\.3, the T of xs"),
        ({"lengths": [1, -1]}, r"lengths contains -1"),
        ({"lengths": []}, r"lengths=\[\]: must name at least one"),
        ({"lengths": [1.5]}, r"lengths=\[1\.5\]: must be a list of integers"),
        ({"lengths": 3}, r"lengths=3: must be a list of integers"),
        ({"lengths": [1], "of": "m"}, r"of='m': not in this state, which has h, c"),
        ({"lengths": [1], "wrt": "0.h"}, r"wrt='0\.h': not in"),
        ({"lengths": [1], "every": 0}, r"every=0: must be a positive integer"),
    ],
)
def test_usage_errors_name_argument_and_way_out(settings, message):
    cell = LSTM(4)
    params, xs, _ = network(cell, steps=3)
    with pytest.raises(UsageError, match=message):
        state_jacobian(cell, params, xs, **settings)


def test_both_directions_have_no_state_of_one_time():
    cell = bidirectional(LSTM(4))
    params = cell.init(jax.random.key(0), 3, jnp.float64)
    with pytest.raises(UsageError, match=r"measure each direction by itself"):
        state_jacobian(cell, params, jnp.zeros((3, 2, 3)), lengths=[1])
