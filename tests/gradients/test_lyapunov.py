import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import CELLS as ALL_CELLS
from rnnlab.cells import Elman
from rnnlab.errors import UsageError
from rnnlab.gradients import lyapunov_exponents, state_jacobian
from tests.gradients.networks import CELLS, measured, network


def benettin(wh, h, steps, discard, count):
    """Exponents of `h' = tanh(h @ wh)` by a plain loop, from another basis than the library's."""
    basis = np.linalg.qr(np.random.default_rng(5).normal(size=(len(h), count)))[0]
    total = np.zeros(count)
    for step in range(steps):
        h = np.tanh(h @ wh)
        basis, r = np.linalg.qr(((1 - h**2)[:, None] * wh.T) @ basis)
        if step >= discard:
            total += np.log(np.abs(np.diagonal(r)))
    return np.sort(total / (steps - discard))[::-1]


def test_random_tanh_network_against_a_plain_loop():
    """In the chaotic regime the trajectories part, so that the averages agree, not the bits."""
    hidden, steps, discard = 200, 600, 100
    rng = np.random.default_rng(3)
    wh = 2.0 * rng.normal(size=(hidden, hidden)) / np.sqrt(hidden)
    h = 0.1 * rng.normal(size=hidden)
    cell = Elman(hidden)
    params = cell.init(jax.random.key(0), 1, jnp.float64) | {"wh": jnp.asarray(wh)}
    state = cell.initial_state((), jnp.float64)._replace(h=jnp.asarray(h))
    xs = jnp.zeros((steps, 1))
    got = measured(lyapunov_exponents, cell, params, xs, state, count=4, discard=discard)
    expected = benettin(wh, h, steps, discard, 4)
    assert expected[0] > 0.1
    np.testing.assert_allclose(got.exponents, expected, atol=0.02)


@pytest.mark.parametrize("dtype, tolerance", [(jnp.float32, 1e-5), (jnp.float64, 1e-12)])
def test_linear_network_has_the_logarithms_of_its_eigenvalues(dtype, tolerance):
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(5, 5))
    eigenvalues = np.array([1.3, 0.9, -0.6, 0.3, 0.05])
    cell = Elman(5, activation="identity")
    params = cell.init(jax.random.key(0), 1, dtype)
    params |= {"wh": jnp.asarray((basis * eigenvalues) @ np.linalg.inv(basis), dtype)}
    xs = jnp.zeros((4000, 1), dtype)
    got = measured(lyapunov_exponents, cell, params, xs, discard=200, records=[4000, 400])
    assert got.exponents.dtype == dtype
    np.testing.assert_allclose(got.exponents, np.log(np.abs(eigenvalues)), atol=tolerance)
    np.testing.assert_array_equal(got.steps, [4000, 400])
    np.testing.assert_array_equal(got.running[0], got.exponents)
    np.testing.assert_allclose(got.running[1], got.exponents, atol=tolerance)


def test_whole_spectrum_adds_up_to_the_determinant():
    cell = CELLS["lstm"]
    params, xs, state = network(cell, steps=5)
    got = measured(lyapunov_exponents, cell, params, xs, state)
    jacobian = measured(state_jacobian, cell, params, xs, state, lengths=[5, 2])
    assert got.exponents.shape == (2, 8) and got.running.shape == (5, 2, 8)
    sums = got.exponents.sum(axis=-1) * 5 / np.log(10)
    np.testing.assert_allclose(sums, jacobian.log10_det[0], atol=1e-12)
    diagonal = np.sort(jacobian.log10_qr_diagonal[0])[:, ::-1] * np.log(10) / 5
    np.testing.assert_allclose(got.exponents, diagonal, atol=1e-12)


def test_fewer_exponents_and_rarer_factorisation():
    cell = Elman(4)
    params, xs, state = network(cell, steps=30)
    whole = measured(lyapunov_exponents, cell, params, xs, state, records=[30])
    few = measured(lyapunov_exponents, cell, params, xs, state, records=[30], count=2, every=4)
    assert few.exponents.shape == (2, 2)
    np.testing.assert_allclose(few.exponents, whole.exponents[:, :2], atol=1e-10)


@pytest.mark.parametrize("radius, dtype", [(4.0, jnp.float32), (0.25, jnp.float64)])
def test_columns_stay_within_range_between_two_factorisations(radius, dtype):
    """In 700 steps 4^700 leaves the range of both types."""
    cell = Elman(3, activation="identity")
    params = cell.init(jax.random.key(0), 1, dtype)
    params |= {"wh": jnp.asarray(radius, dtype) * params["wh"]}
    xs = jnp.zeros((1500, 1), dtype)
    got = measured(lyapunov_exponents, cell, params, xs, every=700, records=[1500])
    np.testing.assert_allclose(got.exponents, np.log(radius), rtol=1e-5)
    jacobian = measured(state_jacobian, cell, params, xs, lengths=[1500], every=700)
    logs = 1500 * np.log10(radius)
    np.testing.assert_allclose(jacobian.log10_singular_values, np.full((1, 3), logs), rtol=1e-5)
    np.testing.assert_allclose(jacobian.log10_det, 3 * logs, rtol=1e-5)


@pytest.mark.parametrize(
    "name, bias, lost",
    [
        ("relu", -100.0, 4),  # dead
        ("cec", 0.0, 4),  # h' = tanh(c'), so that ∂(h', c') has half the rank
        pytest.param("lstm_nog", 0.0, 4, marks=pytest.mark.slow),
        ("tanh", 18.5, 0),  # saturated, where 1 - y² is 0
    ],
)
def test_lost_directions_come_last(name, bias, lost):
    cell = ALL_CELLS[name](4)
    params, xs, state = network(cell, steps=60)
    params |= {"b": params["b"] + bias}
    got = measured(lyapunov_exponents, cell, params, xs, state, discard=40)
    for exponents in (got.exponents, got.running):
        kept = exponents.shape[-1] - lost
        assert np.all(np.isfinite(exponents[..., :kept]))
        assert np.all(np.isneginf(exponents[..., kept:]))
        with np.errstate(invalid="ignore"):  # -inf less -inf
            assert not np.any(np.diff(exponents) > 0)


def test_a_network_that_overflows_has_no_exponents():
    """The slope of a ReLU behind a NaN is zero, which would be a dead network."""
    cell = Elman(2, activation="relu")
    params = cell.init(jax.random.key(0), 1, jnp.float32)
    params |= {"wx": jnp.ones((1, 2), jnp.float32), "wh": jnp.array([[3, -3], [3, 4]], jnp.float32)}
    xs = jnp.ones((200, 1), jnp.float32)
    got = measured(lyapunov_exponents, cell, params, xs, records=[20, 200])
    assert np.isfinite(got.running[0, 0]) and np.all(np.isnan(got.running[1]))
    jacobian = measured(state_jacobian, cell, params, xs, lengths=[20, 200])
    assert np.isfinite(jacobian.log10_sigma_max[0]) and np.isnan(jacobian.log10_sigma_max[1])
    assert np.isnan(jacobian.log10_singular_values[1]).all() and np.isnan(jacobian.log10_det[1])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"count": 5}, r"count=5: the joint state has 4 units"),
        ({"count": 0}, r"count=0: must be a positive integer"),
        ({"discard": 5}, r"discard=5: must lie in 0\.\.4"),
        ({"discard": 2, "records": [2, 4]}, r"records contains 2: must lie after discard=2"),
        ({"records": [9]}, r"records contains 9: must lie in 0\.\.5"),
    ],
)
def test_usage_errors_name_argument_and_way_out(settings, message):
    cell = Elman(4)
    params, xs, _ = network(cell, steps=5)
    with pytest.raises(UsageError, match=message):
        lyapunov_exponents(cell, params, xs, **settings)
