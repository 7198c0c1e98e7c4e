import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import CELLS as ALL_CELLS
from rnnlab.cells import Elman
from rnnlab.combinators import Stack
from rnnlab.errors import UsageError
from rnnlab.gradients import adjoint_profile, parameter_gradients
from rnnlab.unroll import unroll
from tests import quick
from tests.gradients.networks import CELLS, measured, network


def log10_norms(tree):
    return jax.tree.map(lambda a: np.log10(np.linalg.norm(np.asarray(a))), tree)


@pytest.mark.parametrize(
    "cell", [Stack((Elman(4), Elman(3))), CELLS["residual"]], ids=["stack", "residual"]
)
def test_norms_and_contributions_are_those_of_autodiff(cell):
    params, xs, state = network(cell, steps=4)
    rng = np.random.default_rng(1)
    cotangents = jnp.asarray(rng.normal(size=(4, 2, cell.features_out)))
    got = measured(parameter_gradients, cell, params, xs, state, loss=cotangents)

    def loss(copies):
        """The loss with a copy of the parameters for each step."""
        s, total = state, jnp.zeros(())
        for t in range(4):
            p = jax.tree.map(lambda a, t=t: a[t], copies)
            s, y = cell.step(p, xs[t], s)
            total += jnp.sum(y * cotangents[t])
        return total

    copies = jax.tree.map(lambda a: jnp.broadcast_to(a, (4, *a.shape)), params)
    shares = quick.jit(jax.grad(loss))(copies)
    total = log10_norms(jax.tree.map(lambda a: a.sum(axis=0), shares))
    each = [log10_norms(jax.tree.map(lambda a, t=t: a[t], shares)) for t in range(4)]
    each = jax.tree.map(lambda *a: np.stack(a), *each)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), got.log10_norm, total)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), got.log10_contributions, each
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL_CELLS)
def test_every_cell(name):
    """The gradients with respect to the parameters and to the first state, by `jax.grad`."""
    cell = ALL_CELLS[name](4)
    params, xs, state = network(cell, steps=12)

    def loss(params, state):
        return jnp.sum(unroll(cell, params, xs, state)[1]) / 2

    d_params, d_state = quick.jit(jax.grad(loss, argnums=(0, 1)))(params, state)
    got = measured(parameter_gradients, cell, params, xs, state, loss="every").log10_norm
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), got, log10_norms(d_params)
    )
    profile = measured(adjoint_profile, cell, params, xs, state, loss="every")
    first = np.linalg.norm(np.concatenate(jax.tree.leaves(d_state), axis=-1), axis=-1)
    np.testing.assert_allclose(profile.log10_joint[0], np.log10(first), atol=1e-10)


def test_right_where_float32_is_not_and_under_vmap():
    """A linear network whose last output reaches back by gain^150: 0 or inf in float32."""
    cell = Elman(6, activation="identity")
    params, xs, _ = network(cell, steps=150)
    xs = xs.at[1:].set(0)  # so that all of the gradient of wx comes from the first step
    both = jax.tree.map(lambda a: jnp.stack([a, a]), params)
    both |= {"wh": both["wh"] * jnp.array([0.05, 20.0])[:, None, None]}

    @quick.jit
    @jax.vmap
    def gradients(params):
        return jax.grad(lambda p: jnp.sum(unroll(cell, p, xs.astype(p["b"].dtype))[1][-1]))(params)

    narrow = jax.tree.map(lambda a: a.astype(jnp.float32), both)
    naive = np.asarray(gradients(narrow)["wx"])
    assert np.all(naive[0] == 0) and not np.any(np.isfinite(naive[1]))
    mapped = jax.vmap(lambda p: parameter_gradients(cell, p, xs.astype(jnp.float32)))
    got = quick.jit(mapped)(narrow)
    assert got.log10_norm["wx"].dtype == jnp.float32
    for i, gradient in enumerate(np.asarray(gradients(both)["wx"])):
        peak = np.abs(gradient).max()  # whose square leaves float64
        expected = np.log10(peak) + np.log10(np.linalg.norm(gradient / peak) / np.sqrt(6))
        assert abs(expected) > 100
        np.testing.assert_allclose(got.log10_norm["wx"][i], expected, atol=1e-3)
        np.testing.assert_allclose(got.log10_contributions["wx"][i, 0], expected, atol=1e-3)


def test_rows_of_very_different_magnitude_are_aligned():
    """Of two sequences one has a gradient of 1e-400 and the other none; the sum is the first's."""
    cell = Elman(4, activation="relu")
    params, xs, _ = network(cell, steps=400)
    params |= {"wh": 0.1 * jnp.eye(4), "wx": jnp.ones((3, 4)), "b": jnp.zeros(4)}
    xs = jnp.abs(xs).at[:, 1].multiply(-1)
    got = measured(parameter_gradients, cell, params, xs)
    first = np.log10(np.linalg.norm(np.outer(np.asarray(xs)[0, 0], np.full(4, 0.5)))) - 399
    np.testing.assert_allclose(got.log10_contributions["wx"][0], first, atol=1e-9)


def test_dead_network_gives_minus_infinity():
    cell = Elman(4, activation="relu")
    params, xs, _ = network(cell, steps=400)
    got = measured(parameter_gradients, cell, params | {"b": jnp.full(4, -100.0)}, xs)
    assert all(np.isneginf(value) for value in got.log10_norm.values())


def test_usage_error_for_an_unknown_loss():
    cell = Elman(4)
    params, xs, _ = network(cell, steps=2)
    with pytest.raises(UsageError, match=r"loss='mean': must be 'last', 'every'"):
        parameter_gradients(cell, params, xs, loss="mean")
