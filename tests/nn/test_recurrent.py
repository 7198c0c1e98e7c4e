"""`Recurrent` and `Functional`: the recurrent layer of models, as pure functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import GRU, LSTM
from rnnlab.combinators import Bidirectional, Dropout, Stack
from rnnlab.nn import Functional, Recurrent
from rnnlab.unroll import unroll

LAYER = Stack((Bidirectional(GRU(3), GRU(3)), Dropout(0.5), LSTM(4)))


@pytest.fixture(scope="module")
def model():
    return Functional(lambda rngs: Recurrent(LAYER, 2, rngs=rngs))


def test_it_is_unroll_with_the_batch_first(model):
    params = model.init(jax.random.key(0))
    xs, lengths = jax.random.normal(jax.random.key(1), (3, 5, 2), jnp.float32), jnp.array([5, 2, 0])
    module = model.bind(params)
    state, ys = module(xs, lengths=lengths, key=jax.random.key(2))
    want, want_ys = unroll(
        LAYER, module.params, jnp.swapaxes(xs, 0, 1), lengths=lengths, key=jax.random.key(2)
    )
    np.testing.assert_array_equal(ys, jnp.swapaxes(want_ys, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, state, want)
    assert ys.shape == (3, 5, 4) and not ys[1, 2:].any() and not ys[2].any()


def test_parameters_are_a_plain_dict_that_gradients_have_too(model):
    params = model.init(jax.random.key(0))
    assert isinstance(params, dict)
    xs = jnp.ones((2, 3, 2), jnp.float32)
    gradient = jax.jit(jax.grad(lambda params: model.bind(params)(xs)[1].sum()))(params)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))
    again = model.init(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, again, params)
    assert jax.tree.structure(jax.eval_shape(model.init, jax.random.key(0))) == jax.tree.structure(
        params
    )
