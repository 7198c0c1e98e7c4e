"""Sequences of different lengths, and losses that are functions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import Elman
from rnnlab.errors import UsageError
from rnnlab.gradients import adjoint_profile, parameter_gradients
from rnnlab.unroll import unroll
from tests import quick
from tests.gradients.networks import CELLS, measured, network

T, LENGTHS = 5, np.array([5, 2, 0])


@pytest.fixture(scope="module", params=["lstm", pytest.param("stack", marks=pytest.mark.slow)])
def padded(request):
    """A network, and a batch whose padding is not even numbers."""
    cell = CELLS[request.param]
    params, xs, state = network(cell, steps=T, batch=(3,))
    padding = np.arange(T)[:, None] >= LENGTHS
    return cell, params, jnp.where(padding[..., None], jnp.nan, xs), state


@pytest.mark.parametrize("loss", ["last", "every"])
def test_a_sequence_ends_at_its_own_length(padded, loss):
    cell, params, xs, state = padded
    both = quick.jit(lambda p, x, s: profile_and_gradients(cell, p, x, s, loss))(params, xs, state)
    profile, gradients = both
    total = jax.tree.map(jnp.zeros_like, params)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(profile.log10_joint[length + 1 :, row], -np.inf)
        if length == 0:
            np.testing.assert_array_equal(profile.log10_joint[:, row], -np.inf)
            continue
        alone = [jax.tree.map(lambda a, r=row: a[r : r + 1], state), xs[:length, row : row + 1]]
        expected = measured(adjoint_profile, cell, params, alone[1], alone[0], loss=loss)
        for name, values in expected.log10_parts.items():
            found = profile.log10_parts[name][: length + 1, row]
            np.testing.assert_allclose(found, values[:, 0], atol=1e-12)
        own = jax.grad(partial(reference, cell, loss))(params, alone[1], alone[0])
        total = jax.tree.map(jnp.add, total, own)
    expected = jax.tree.map(lambda a: jnp.log10(jnp.linalg.norm(a)), total)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), gradients.log10_norm, expected
    )


def profile_and_gradients(cell, params, xs, state, loss):
    options = {"loss": loss, "lengths": LENGTHS}
    return (
        adjoint_profile(cell, params, xs, state, **options),
        parameter_gradients(cell, params, xs, state, **options),
    )


def reference(cell, loss, params, xs, state):
    ys = unroll(cell, params, xs, state)[1]
    counted = ys[-1] if loss == "last" else ys
    return jnp.sum(counted) * ys.shape[-1] ** -0.5


def test_a_frozen_state_does_not_overflow():
    cell = Elman(4, activation="relu")
    params, xs, _ = network(cell, steps=400, dtype=jnp.float32)
    params = params | {"wh": 10 * jnp.abs(params["wh"]), "b": jnp.ones(4, jnp.float32)}
    profile = measured(adjoint_profile, cell, params, xs, lengths=np.array([3, 30]))
    assert np.isfinite(profile.log10_joint[0]).all()


def test_a_loss_is_a_function_of_the_outputs():
    cell = CELLS["lstm"]
    params, xs, state = network(cell, steps=T)
    targets = jnp.asarray(np.random.default_rng(3).normal(size=(T, 2, 4)))

    def squared(ys):
        return jnp.mean((ys - targets) ** 2)

    profile = measured(adjoint_profile, cell, params, xs, state, loss=squared)
    found = measured(parameter_gradients, cell, params, xs, state, loss=squared)
    d_params, d_state = quick.jit(
        jax.grad(lambda p, s: squared(unroll(cell, p, xs, s)[1]), (0, 1))
    )(params, state)
    expected = np.log10(np.linalg.norm(np.concatenate(d_state, axis=-1), axis=-1))
    np.testing.assert_allclose(profile.log10_joint[0], expected, atol=1e-12)
    for name, gradient in d_params.items():
        norm = np.log10(np.linalg.norm(gradient))
        np.testing.assert_allclose(found.log10_norm[name], norm, atol=1e-12)


def test_a_function_sees_zeros_past_the_end(padded):
    cell, params, xs, state = padded
    profile = adjoint_profile(
        cell, params, xs, state, loss=lambda ys: jnp.sum(ys) + jnp.sum(jnp.exp(ys)), lengths=LENGTHS
    )
    np.testing.assert_array_equal(profile.log10_joint[3:, 1], -np.inf)
    assert np.isfinite(profile.log10_joint[:3, 1]).all()


def test_what_is_refused():
    cell = CELLS["tanh"]
    params, xs, _ = network(cell, steps=T)
    with pytest.raises(UsageError, match=r"^loss=each: must map the outputs float64\[5, 2, 4\] to"):
        adjoint_profile(cell, params, xs, loss=each)
    with pytest.raises(UsageError, match=r"^lengths contains 6: must lie in 0\.\.5"):
        adjoint_profile(cell, params, xs, lengths=[6, 1])
    with pytest.raises(UsageError, match=r"^lengths is int64\[1\]: must be integers\[2\]"):
        parameter_gradients(cell, params, xs, lengths=[1])
    with pytest.raises(UsageError, match=r"^loss='first': must be 'last'"):
        adjoint_profile(cell, params, xs, loss="first")
    with pytest.raises(UsageError, match=r"^loss=None: must be 'last'"):
        adjoint_profile(cell, params, xs, loss=None)


def each(ys):
    return jnp.sum(ys, axis=-1)
