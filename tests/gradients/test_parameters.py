import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import CELLS, network

from rnnlab.cells import Elman
from rnnlab.errors import UsageError
from rnnlab.gradients import parameter_gradients
from rnnlab.unroll import unroll


def log10_norms(tree):
    return jax.tree.map(lambda a: np.log10(np.linalg.norm(np.asarray(a))), tree)


@pytest.mark.parametrize("name", ["gru", "stack", "residual"])
def test_norms_and_contributions_are_those_of_autodiff(name):
    cell = CELLS[name]
    params, xs, state = network(cell, steps=4)
    rng = np.random.default_rng(1)
    cotangents = jnp.asarray(rng.normal(size=(4, 2, cell.features_out)))
    got = parameter_gradients(cell, params, xs, state, loss=cotangents)

    def loss(copies):
        """The loss with a copy of the parameters for each step."""
        s, total = state, jnp.zeros(())
        for t in range(4):
            p = jax.tree.map(lambda a, t=t: a[t], copies)
            s, y = cell.step(p, cell.project(p, xs[t]), s)
            total += jnp.sum(y * cotangents[t])
        return total

    copies = jax.tree.map(lambda a: jnp.broadcast_to(a, (4, *a.shape)), params)
    shares = jax.jit(jax.grad(loss))(copies)
    total = log10_norms(jax.tree.map(lambda a: a.sum(axis=0), shares))
    each = [log10_norms(jax.tree.map(lambda a, t=t: a[t], shares)) for t in range(4)]
    each = jax.tree.map(lambda *a: np.stack(a), *each)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), got.log10_norm, total)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), got.log10_contributions, each
    )


@pytest.mark.parametrize("gain", [0.05, 20.0])
def test_right_where_float32_is_not(gain):
    """A linear network whose loss at T=150 reaches back by gain^150: 0 or inf in float32."""
    cell = Elman(6, activation="identity")
    params, xs, _ = network(cell, steps=150)
    params |= {"wh": params["wh"] * gain}
    xs = xs.at[1:].set(0)  # so that all of the gradient of wx comes from the first step
    narrow = jax.tree.map(lambda a: a.astype(jnp.float32), (params, xs))

    def gradient(params, xs):
        return jax.grad(lambda p: jnp.mean(unroll(cell, p, xs)[1][-1]))(params)["wx"]

    naive = np.linalg.norm(gradient(*narrow))
    assert naive == 0 or not np.isfinite(naive)
    got = parameter_gradients(cell, *narrow)
    assert got.log10_norm["wx"].dtype == jnp.float32
    # The loss of the library is a sum over the batch of unit vectors, not a mean.
    expected = np.log10(np.linalg.norm(gradient(params, xs)) * 2 * 6 / np.sqrt(6))
    assert abs(expected) > 100
    np.testing.assert_allclose(got.log10_norm["wx"], expected, atol=1e-3)
    np.testing.assert_allclose(got.log10_contributions["wx"][0], expected, atol=1e-3)


def test_rows_of_very_different_magnitude_are_aligned():
    """Of two sequences one has a gradient of 1e-400 and the other none; the sum is the first's."""
    cell = Elman(4, activation="relu")
    params, xs, _ = network(cell, steps=400)
    params |= {"wh": 0.1 * jnp.eye(4), "wx": jnp.ones((3, 4)), "b": jnp.zeros(4)}
    xs = jnp.abs(xs).at[:, 1].multiply(-1)
    got = parameter_gradients(cell, params, xs)
    first = np.log10(np.linalg.norm(np.outer(np.asarray(xs)[0, 0], np.full(4, 0.5)))) - 399
    np.testing.assert_allclose(got.log10_contributions["wx"][0], first, atol=1e-9)


def test_dead_network_gives_minus_infinity():
    cell = Elman(4, activation="relu")
    params, xs, _ = network(cell, steps=400)
    got = parameter_gradients(cell, params | {"b": jnp.full(4, -100.0)}, xs)
    assert all(np.isneginf(value) for value in got.log10_norm.values())


def test_vmap_is_the_loop():
    cell = Elman(4)
    points = [network(cell, steps=10, seed=seed)[:2] for seed in range(2)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *points)
    together = jax.vmap(lambda p, x: parameter_gradients(cell, p, x))(*stacked)
    for i, point in enumerate(points):
        alone = parameter_gradients(cell, *point)
        np.testing.assert_allclose(
            together.log10_contributions["wh"][i], alone.log10_contributions["wh"], atol=1e-12
        )


def test_usage_error_for_an_unknown_loss():
    cell = Elman(4)
    params, xs, _ = network(cell, steps=2)
    with pytest.raises(UsageError, match=r"loss='mean': must be 'last', 'every'"):
        parameter_gradients(cell, params, xs, loss="mean")
