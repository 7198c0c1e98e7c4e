"""`gradient_norms`: every cell against `jax.grad`, and where the gradient itself is 0 or inf."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells, gradients
from rnnlab.initializers import Orthogonal, Rescaled
from rnnlab.sweep import gradient_norms
from rnnlab.unroll import unroll
from tests import quick

BATCH, FEATURES, HIDDEN = 2, 2, 3


def problem(name: str, steps: int, *, hidden: int = HIDDEN, dtype: Any = jnp.float64) -> Any:
    """A cell with weights away from special values, inputs and unit readouts."""
    cell = cells.by_name(name, hidden)
    keys = jax.random.split(jax.random.key(7), 4)
    params = cell.init(keys[0], FEATURES, dtype)
    noise = jax.tree.map(lambda a: 0.3 * jax.random.normal(keys[1], a.shape, a.dtype), params)
    params = jax.tree.map(jnp.add, params, noise)
    xs = jax.random.normal(keys[2], (steps, BATCH, FEATURES), dtype)
    readout = jax.random.normal(keys[3], (BATCH, hidden), dtype)
    return cell, params, xs, readout / jnp.linalg.norm(readout, axis=-1, keepdims=True)


def by_autodiff(
    cell: Any, params: Any, xs: jax.Array, readout: jax.Array, lengths: tuple[int, ...]
) -> dict[str, jax.Array]:
    """The same norms from the gradient of `unroll`, one length at a time."""
    start = cell.initial_state((xs.shape[1],), xs.dtype)

    def loss(wh: jax.Array, state: Any, last: jax.Array) -> jax.Array:
        weights = params | {"wh": wh} if "wh" in params else params
        _, ys = unroll(cell, weights, xs, state)
        return jnp.sum(ys[last] * readout)

    grad = jax.vmap(jax.grad(loss, (0, 1)), in_axes=(None, None, 0))
    d_wh, d_state = grad(params.get("wh", xs[0, 0]), start, jnp.array(lengths, jnp.int32) - 1)
    parts = {name: jnp.linalg.norm(d, axis=-1) for name, d in d_state._asdict().items()}
    joint = jnp.sqrt(functools.reduce(jnp.add, [part**2 for part in parts.values()]))
    norms = {
        name: jnp.mean(jnp.log10(norm), -1) for name, norm in ({"state": joint} | parts).items()
    }
    if "wh" in params:
        norms["wh"] = jnp.log10(jnp.linalg.norm(d_wh, axis=(-2, -1)) / xs.shape[1])
    return norms


def run(function: Any, name: str, lengths: tuple[int, ...]) -> dict[str, np.ndarray]:
    cell, params, xs, readout = problem(name, lengths[-1])
    norms = quick.jit(lambda *arrays: function(cell, *arrays, lengths))(params, xs, readout)
    return {name: np.asarray(value) for name, value in norms.items()}


@pytest.mark.parametrize("name", cells.CELLS)
def test_every_cell_agrees_with_autodiff(name):
    lengths = (2, 9)
    found, expected = run(gradient_norms, name, lengths), run(by_autodiff, name, lengths)
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-12, err_msg=key)


@pytest.fixture(scope="module")
def all_lengths():
    """Every length from 1 to 100, by autodiff."""
    return run(by_autodiff, "tanh", tuple(range(1, 101)))


@pytest.mark.parametrize(
    "lengths",
    [(1,), (4,), (1, 2, 3, 5), (4, 8, 12, 100), (1, 97, 98, 99), tuple(range(1, 101))],
    ids=["one step", "one block", "in one block", "whole blocks", "dense end", "a hundred"],
)
def test_lengths_wherever_they_lie(lengths, all_lengths):
    cell, params, xs, readout = problem("tanh", 100)
    found = quick.jit(lambda *arrays: gradient_norms(cell, *arrays, lengths))(params, xs, readout)
    for key, value in found.items():
        expected = all_lengths[key][np.array(lengths) - 1]
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12, err_msg=key)


@pytest.mark.parametrize(("name", "factor", "strength"), [("tanh", 0.2, 1), ("linear", 5, 1e-30)])
def test_float32_where_the_gradient_is_zero_or_infinite(name, factor, strength):
    cell, params, xs, _ = problem(name, 90)
    params |= {"wh": factor * Orthogonal()(jax.random.key(1), (HIDDEN, HIDDEN), xs.dtype)}
    params["b"], xs = strength * params["b"], strength * xs
    readout = jnp.zeros((BATCH, HIDDEN)).at[:, 0].set(1)
    narrow = jax.tree.map(lambda a: a.astype(jnp.float32), (params, xs, readout))
    found = jax.jit(lambda *arrays: gradient_norms(cell, *arrays, (60, 90)))(*narrow)

    # The same in another way: the log-domain adjoint of rnnlab.gradients, in float64.
    for i, steps in enumerate((60, 90)):
        loss = jnp.zeros((steps, BATCH, HIDDEN)).at[-1].set(readout)
        adjoint = gradients.adjoint_profile(cell, params, xs[:steps], loss=loss)
        weights = gradients.parameter_gradients(cell, params, xs[:steps], loss=loss)
        exponent = float(jnp.mean(adjoint.log10_joint[0]))
        assert not -38 < exponent < 38
        assert found["state"][i] == pytest.approx(exponent, abs=1e-4)
        expected = weights.log10_norm["wh"] - np.log10(BATCH)
        assert found["wh"][i] == pytest.approx(float(expected), abs=1e-4)
    assert found["state"].dtype == jnp.float32


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-3), (jnp.float64, 1e-9)])
@pytest.mark.parametrize("radius", [0.9, 1.1])
def test_exponent_of_an_orthogonal_linear_network_after_10000_steps(radius, dtype, tolerance):
    cell, lengths = cells.by_name("linear", 16), (1, 1000, 10_000)
    params = cell.init(jax.random.key(0), 1, dtype)
    params["wh"] = Rescaled(Orthogonal(), radius)(jax.random.key(1), (16, 16), dtype)
    xs = jnp.zeros((10_000, 1, 1), dtype)
    readout = jnp.full((1, 16), 0.25, dtype)
    found = jax.jit(lambda *arrays: gradient_norms(cell, *arrays, lengths))(params, xs, readout)
    exact = np.array(lengths) * np.log10(radius)
    np.testing.assert_allclose(found["state"], exact, rtol=tolerance)
    assert np.all(found["wh"] == -np.inf)  # the state stays at zero


def test_additive_identity_has_no_recurrent_weights():
    found = run(gradient_norms, "additive", (2, 9))
    assert set(found) == {"state", "h"}
    np.testing.assert_allclose(found["state"], 0, atol=1e-12)
