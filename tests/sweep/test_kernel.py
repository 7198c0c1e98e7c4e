"""`gradient_norms`: every cell against `jax.grad`, and where the gradient itself is 0 or inf."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells, gradients
from rnnlab.sweep import gradient_norms, kernel
from rnnlab.unroll import unroll
from tests import quick

BATCH, FEATURES, HIDDEN = 2, 2, 3

#: All cells; those that repeat a kind are slow tests.
KINDS = ("tanh", "lstm", "lstm_fgr", "lstm_peephole", "gru_reset_before", "mut1", "minimal")
BY_KIND = [
    name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in cells.CELLS
]


def problem(name: str, steps: int) -> Any:
    """A cell with weights drawn by NumPy, which compiles nothing, inputs and unit readouts."""
    cell, rng = cells.by_name(name, HIDDEN), np.random.default_rng(7)
    shapes = jax.eval_shape(lambda key: cell.init(key, FEATURES, jnp.float64), jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.asarray(0.6 * rng.normal(size=leaf.shape)), shapes)
    xs = jnp.asarray(rng.normal(size=(steps, BATCH, FEATURES)))
    readout = rng.normal(size=(BATCH, HIDDEN))
    return cell, params, xs, jnp.asarray(readout / np.linalg.norm(readout, axis=-1, keepdims=True))


def orthogonal(size: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(1).normal(size=(size, size)))[0]


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


@pytest.mark.parametrize("name", BY_KIND)
def test_every_cell_agrees_with_autodiff(name, monkeypatch):
    monkeypatch.setattr(kernel, "MAX_SEGMENTS", 1)  # each takes its time to compile
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
    found = quick.jit(lambda p, x, r: gradient_norms(cell, p, x, r, lengths))(params, xs, readout)
    for key, value in found.items():
        expected = all_lengths[key][np.array(lengths) - 1]
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12, err_msg=key)


@pytest.mark.parametrize(
    ("name", "factor", "strength", "bias"),
    [
        ("tanh", 0.2, 1, 0),
        ("tanh", 1, 0.1, 30),
        pytest.param("linear", 5, 1e-30, 0, marks=pytest.mark.slow),
        pytest.param("lstm", 1, 0.1, -40, marks=pytest.mark.slow),
    ],
)
def test_float32_where_the_gradient_is_zero_or_infinite(name, factor, strength, bias):
    """The same in another way: the log-domain adjoints of `rnnlab.gradients`, in float64.

    Of the saturated ones a single step shrinks an adjoint by up to 1e-26.
    """
    cell, params, xs, readout = problem(name, 90)
    gates = params["wh"].shape[1] // HIDDEN
    params["wh"] = jnp.asarray(factor * np.tile(orthogonal(HIDDEN), gates))
    params["b"], xs = strength * params["b"] + bias, strength * xs

    @quick.jit
    def by_adjoints(params: Any, xs: jax.Array, readout: jax.Array) -> Any:
        loss = jnp.zeros((90, BATCH, HIDDEN)).at[-1].set(readout)
        adjoint = gradients.adjoint_profile(cell, params, xs, loss=loss)
        total = gradients.parameter_gradients(cell, params, xs, loss=loss).log10_norm["wh"]
        return jnp.mean(adjoint.log10_joint[0]), total - np.log10(BATCH)

    narrow = jax.tree.map(lambda a: a.astype(jnp.float32), (params, xs, readout))
    found = quick.jit(lambda p, x, r: gradient_norms(cell, p, x, r, (90,)))(*narrow)
    state, wh = by_adjoints(params, xs, readout)
    assert abs(state) > 46  # the least positive float32 is 1e-45, the largest 3e38
    assert found["state"].dtype == jnp.float32
    assert found["state"][0] == pytest.approx(float(state), abs=1e-4)
    assert found["wh"][0] == pytest.approx(float(wh), abs=1e-4)
    quick_norms, left = quick.jit(
        lambda p, x, r: kernel.quick_gradient_norms(cell, p, x, r, (90,))
    )(*narrow)
    assert bool(left) == (bias != 0)
    if not left:
        np.testing.assert_array_equal(quick_norms["state"], found["state"])


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-3), (jnp.float64, 1e-9)])
def test_exponent_of_an_orthogonal_linear_network_after_10000_steps(dtype, tolerance):
    cell, lengths, radii = cells.by_name("linear", 16), (1000, 10_000), (0.9, 1.1)
    wx, b = jnp.zeros((1, 16), dtype), jnp.zeros(16, dtype)
    wh = jnp.asarray([radius * orthogonal(16) for radius in radii], dtype)
    xs = jnp.zeros((10_000, 1, 1), dtype)
    readout = jnp.full((1, 16), 0.25, dtype)

    def norms(wh: jax.Array) -> dict[str, jax.Array]:
        return gradient_norms(cell, {"wx": wx, "wh": wh, "b": b}, xs, readout, lengths)

    found = quick.jit(jax.vmap(norms))(wh)
    exact = np.log10(radii)[:, None] * np.array(lengths)
    np.testing.assert_allclose(found["state"], exact, rtol=tolerance)
    assert np.all(found["wh"] == -np.inf)  # the state stays at zero


def test_additive_identity_has_no_recurrent_weights():
    found = run(gradient_norms, "additive", (2, 9))
    assert set(found) == {"state", "h"}
    np.testing.assert_allclose(found["state"], 0, atol=1e-12)
