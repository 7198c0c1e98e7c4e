"""The three kinds of attention against their equations in NumPy; what is masked never matters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rnnlab.errors import UsageError
from rnnlab.nn import attention
from tests import quick

RNG = np.random.default_rng(0)
QUERIES, MEMORY = RNG.normal(size=(3, 2, 4)), RNG.normal(size=(3, 5, 4))
LENGTHS = np.array([5, 2, 0])
MASK = np.arange(5) < LENGTHS[:, None]
KINDS = {
    kind: attention.by_name(kind, 4, 4, 6, param_dtype=jnp.float64, rngs=nnx.Rngs(1))
    for kind in attention.KINDS
}


def kernel(linear):
    return np.asarray(linear.kernel.get_value())


def score(kind, query, place):
    """The score of one place for one query."""
    module = KINDS[kind]
    if kind == "dot":
        return query @ place
    if kind == "general":
        return query @ (place @ kernel(module.weight))
    hidden = query @ kernel(module.of_query) + place @ kernel(module.of_memory)
    return (np.tanh(hidden) @ kernel(module.score))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_contexts_and_weights_are_those_of_the_equation(kind):
    context, weights = jax.device_get(quick.jit(KINDS[kind].__call__)(QUERIES, MEMORY, MASK))
    for row, length in enumerate(LENGTHS):
        for place, query in enumerate(QUERIES[row]):
            scores = np.array([score(kind, query, m) for m in MEMORY[row, :length]])
            share = np.exp(scores) / np.exp(scores).sum()
            np.testing.assert_allclose(weights[row, place, :length], share, atol=1e-12)
            assert not weights[row, place, length:].any()
            wanted = share @ MEMORY[row, :length] if length else np.zeros(4)
            np.testing.assert_allclose(context[row, place], wanted, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_masked_has_no_weight_and_no_gradient(kind):
    def total(memory):
        context, weights = KINDS[kind](jnp.asarray(QUERIES), memory, jnp.asarray(MASK))
        return (context**2).sum() + (weights**2).sum()

    nan = jnp.where(MASK[..., None], MEMORY, jnp.nan)
    program = quick.jit(jax.value_and_grad(total))
    value, gradient = program(nan)
    assert value == program(MEMORY)[0] and np.isfinite(value)
    assert not np.asarray(gradient)[~MASK].any()
    assert np.asarray(gradient)[0].any()


def test_queries_may_have_any_axes_and_keys_may_be_known():
    module, memory, mask = KINDS["general"], jnp.asarray(MEMORY), jnp.asarray(MASK)
    context, weights = module(jnp.asarray(QUERIES), memory, mask)
    one, its = module(jnp.asarray(QUERIES[:, 1]), memory, mask, module.keys(memory))
    np.testing.assert_allclose(one, context[:, 1], atol=1e-14)
    np.testing.assert_allclose(its, weights[:, 1], atol=1e-14)
    assert module(jnp.asarray(QUERIES)[:, None], memory, mask)[1].shape == (3, 1, 2, 5)


def test_wrong_kinds_and_sizes_are_refused():
    with pytest.raises(UsageError, match=r"attention='cosine': must be one of additive, dot, ge"):
        attention.by_name("cosine", 4, 4, 4, rngs=nnx.Rngs(0))
    with pytest.raises(UsageError, match=r"query has 4 features and the memory 5"):
        attention.by_name("dot", 4, 5, 4, rngs=nnx.Rngs(0))
