"""Classes of sequences of numbers: what is past their ends does not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import GRU
from rnnlab.combinators import Stack
from rnnlab.nn import Functional, SequenceClassifier


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_it_is_the_pooled_outputs_through_a_linear_map(pooling):
    model = Functional(
        lambda rngs: SequenceClassifier(
            Stack((GRU(3),)), 2, 4, pooling=pooling, param_dtype=jnp.float64, rngs=rngs
        )
    )
    params = model.init(jax.random.key(0))
    module = model.bind(params)
    xs = np.random.default_rng(0).normal(size=(2, 5, 2))
    xs[1, 3:] = np.nan
    lengths = np.array([5, 3], np.int32)
    found = module(xs, lengths)
    ys = np.asarray(module.read(jnp.nan_to_num(xs), lengths=lengths)[1])
    if pooling == "last":
        weights = np.eye(5)[lengths - 1]
        assert module.attention(xs, lengths) is None
    else:
        weights = np.asarray(module.attention(xs, lengths))
        np.testing.assert_allclose(weights.sum(axis=1), 1)
    v = np.einsum("bt,bth->bh", weights, ys)
    judge = params["judge"]
    np.testing.assert_allclose(found, v @ judge["kernel"] + judge["bias"], rtol=1e-12)
