"""Embeddings: padding, given vectors, and vectors that stay."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from rnnlab.errors import UsageError
from rnnlab.nn import Embedding, Functional, keep_frozen

VECTORS = np.arange(12.0).reshape(4, 3)
CODES = jnp.array([[1, 0], [3, 1]])


def test_a_code_is_a_row_and_padding_is_zero_without_gradient():
    model = Functional(lambda rngs: Embedding(4, 3, vectors=VECTORS, rngs=rngs))
    params = model.init(jax.random.key(0))
    broken = {"table": params["table"].at[0].set(7)}
    for one in (params, broken):
        out = model.bind(one)(CODES)
        np.testing.assert_array_equal(out[0], [VECTORS[1], np.zeros(3)])
        gradient = jax.grad(lambda params: model.bind(params)(CODES).sum())(one)["table"]
        np.testing.assert_array_equal(gradient[:, 0], [0, 2, 0, 1])


def test_without_padding_every_row_learns():
    embedding = Embedding(4, 3, padding=None, vectors=VECTORS, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(embedding(CODES)[0, 1], VECTORS[0])


def test_drawn_vectors_have_a_length_of_about_one():
    table = Embedding(500, 50, rngs=nnx.Rngs(0)).table.get_value()
    assert table.dtype == jnp.float32 and not table[0].any()
    np.testing.assert_allclose(np.linalg.norm(table[1:], axis=1).mean(), 1, atol=0.02)


def test_frozen_vectors_have_no_gradient_and_do_not_decay():
    model = Functional(
        lambda rngs: nnx.Dict(
            words=Embedding(4, 3, vectors=VECTORS, trained=False, rngs=rngs),
            more=Embedding(4, 3, vectors=VECTORS, rngs=rngs),
        )
    )
    params = model.init(jax.random.key(0))

    def loss(params):
        module = model.bind(params)
        return (module["words"](CODES) + module["more"](CODES)).sum()

    gradient = jax.grad(loss)(params)
    assert not gradient["words"]["frozen"].any() and gradient["more"]["table"].any()
    optimiser = keep_frozen(optax.adamw(0.1, weight_decay=0.5))
    with jax.numpy_dtype_promotion("standard"):
        state = optimiser.init(params)
        changes, state = optimiser.update(gradient, state, params)
    after: Any = optax.apply_updates(params, changes)
    np.testing.assert_array_equal(after["words"]["frozen"], params["words"]["frozen"])
    assert np.all(after["more"]["table"][2] != params["more"]["table"][2])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"vectors": VECTORS[:, :2]}, r"\[4, 2\].*need \[4, 3\]"),
        ({"padding": 4}, r"padding=4: must be within 0 \.\. 3"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Embedding(4, 3, rngs=nnx.Rngs(0), **settings)
