import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from rnnlab.cells import CELLS, GRU, Elman
from rnnlab.combinators import LayerNorm
from rnnlab.gradients import (
    adjoint_profile,
    lyapunov_exponents,
    one_step_jacobian,
    parameter_gradients,
    state_jacobian,
)
from rnnlab.sweep.kernel import gradient_norms
from rnnlab.unroll import unroll
from tests import quick
from tests.gradients.networks import measured, network

STEPS = 50


def one_unit(bias, dtype, activation="tanh"):
    """`h' = φ(h + bias)`: parameters and inputs."""
    cell = Elman(1, activation=activation)
    one = jnp.ones((1, 1), dtype)
    params = {"wx": 0 * one, "wh": one, "b": jnp.full(1, bias, dtype)}
    return cell, params, jnp.zeros((STEPS, 1, 1), dtype)


def exact(bias, activation="tanh"):
    """Σ_t log10 φ'(a_t) of that network, in 60 digits."""
    with mpmath.workdps(60):
        h, total = mpmath.mpf(0), mpmath.mpf(0)
        for _ in range(STEPS):
            a = h + bias
            if activation == "tanh":
                h, slope = mpmath.tanh(a), mpmath.sech(a) ** 2
            else:
                h = 1 / (1 + mpmath.exp(-a))
                slope = h / (1 + mpmath.exp(a))
            total += mpmath.log10(slope)
        return float(total)


@pytest.mark.parametrize(
    "bias, dtype, activation",
    [
        (6, jnp.float32, "tanh"),  # where 1 - y² has two digits
        (8, jnp.float32, "tanh"),  # where it is 0
        (60, jnp.float32, "tanh"),  # where 1 / cosh² is below the range, too
        (18, jnp.float64, "tanh"),
        (400, jnp.float64, "tanh"),
        (20, jnp.float32, "sigmoid"),
        (40, jnp.float64, "sigmoid"),
    ],
)
def test_a_saturated_unit_against_60_digits(bias, dtype, activation):
    cell, params, xs = one_unit(bias, dtype, activation)
    got = measured(adjoint_profile, cell, params, xs).log10_joint[0, 0]
    assert float(got) == pytest.approx(exact(bias, activation), rel=4 * float(jnp.finfo(dtype).eps))


@pytest.mark.slow
def test_every_measurement_of_a_saturated_unit():
    cell, params, xs = one_unit(8, jnp.float32)
    jacobian = measured(state_jacobian, cell, params, xs, lengths=[STEPS])
    exponents = measured(lyapunov_exponents, cell, params, xs, records=[STEPS]).exponents
    gradients = measured(parameter_gradients, cell, params, xs).log10_contributions
    norms = gradient_norms(cell, params, xs, jnp.ones((1, 1), jnp.float32), (STEPS,))
    found = [
        *(jacobian.log10_sigma_max, jacobian.log10_singular_values, jacobian.log10_det),
        *(jacobian.log10_frobenius, exponents * STEPS / jnp.log(jnp.float32(10))),
        *(gradients["b"][0], norms["state"]),
    ]
    for value in found:
        np.testing.assert_allclose(np.ravel(value), exact(8), rtol=1e-6)
    one = one_step_jacobian(cell, params, xs[0], cell.initial_state((1,), jnp.float32))
    np.testing.assert_allclose(one, 1 / np.cosh(8.0) ** 2, rtol=1e-6)


def test_singular_values_of_units_that_saturate_differently():
    """Slopes from 1 to 1e-30 side by side, against 1000 digits; the step is a full matrix."""
    hidden, steps = 4, 12
    rng = np.random.default_rng(0)
    wh, bias = rng.normal(size=(hidden, hidden)), np.array([0.1, 12.0, 24.0, 36.0])
    cell = Elman(hidden)
    params = cell.init(jax.random.key(0), 1, jnp.float64)
    params |= {"wh": jnp.asarray(wh), "b": jnp.asarray(bias)}
    got = measured(state_jacobian, cell, params, jnp.zeros((steps, 1)), lengths=[steps])
    with mpmath.workdps(1000):
        h, product = mpmath.zeros(1, hidden), mpmath.eye(hidden)
        for _ in range(steps):
            a = h * mpmath.matrix(wh.tolist()) + mpmath.matrix([bias.tolist()])
            h = a.apply(mpmath.tanh)
            slopes = mpmath.diag([mpmath.sech(each) ** 2 for each in a])
            product = product * mpmath.matrix(wh.tolist()) * slopes
        squares = mpmath.eigsy(product.T * product, eigvals_only=True)
        logs = sorted((float(mpmath.log10(abs(square)) / 2) for square in squares), reverse=True)
    assert logs[0] - logs[-1] > 300
    np.testing.assert_allclose(got.log10_singular_values[0], logs, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    ["mgu", "lstm", *(pytest.param(n, marks=pytest.mark.slow) for n in sorted(CELLS))],
)
def test_saturated_gates_in_float32(name):
    """At biases of 8 autodiff has no digit left in float32, and eight in float64."""
    cell = CELLS[name](3)
    params, xs, state = network(cell, steps=4)
    params |= {"b": params["b"] + 8}
    names = ("bh",) if "bh" in params else ()
    params |= {each: params[each] + 8 for each in names}

    def loss(params, state):
        return jnp.sum(unroll(cell, params, xs, state)[1]) / np.sqrt(3)

    d_params, d_state = quick.jit(jax.grad(loss, (0, 1)))(params, state)
    narrow = jax.tree.map(lambda a: a.astype(jnp.float32), (params, xs, state))
    got = measured(parameter_gradients, cell, *narrow, loss="every").log10_norm
    profile = measured(adjoint_profile, cell, *narrow, loss="every")
    norm = np.linalg.norm(np.concatenate(jax.tree.leaves(d_state), axis=-1), axis=-1)
    np.testing.assert_allclose(profile.log10_joint[0], np.log10(norm), atol=1e-4)
    for leaf, d_leaf in d_params.items():
        expected = np.log10(np.linalg.norm(d_leaf))
        # `h - n` of two states near one has fewer digits, whatever its slopes.
        np.testing.assert_allclose(got[leaf], expected, atol=1e-3, err_msg=leaf)


def test_a_gate_that_is_open_leaves_the_rest_its_digits():
    """`1 - z` of a GRU that keeps its state is σ(-a), and does not vanish with the digits of z."""
    cell = GRU(2)
    params, xs, state = network(cell, steps=2, dtype=jnp.float32)
    params |= {"b": params["b"].at[2:4].set(30.0)}
    got = measured(parameter_gradients, cell, params, xs, state).log10_norm["b"]
    wide = jax.tree.map(lambda a: a.astype(jnp.float64), (params, xs, state))
    expected = measured(parameter_gradients, cell, *wide).log10_norm["b"]
    assert -14 < expected < -12
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_wrapped_cells_keep_their_slopes_too():
    cell = LayerNorm(Elman(2))
    params, xs, state = network(cell, steps=3, dtype=jnp.float32)
    params |= {"b": params["b"] + 20}
    profile = measured(adjoint_profile, cell, params, xs, state)
    assert np.all(np.isfinite(profile.log10_joint)) and np.all(profile.log10_joint[0] < -40)


def test_training_takes_no_further_exponential():
    cell, params, xs = one_unit(0, jnp.float32)
    gradient = jax.grad(lambda p: jnp.sum(unroll(cell, p, xs)[1]))
    assert "exp" not in str(jax.make_jaxpr(gradient)(params)).replace("expand", "")
