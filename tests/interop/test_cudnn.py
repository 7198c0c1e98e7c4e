from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from rnnlab import cells
from rnnlab.combinators import Stack, bidirectional
from rnnlab.errors import UsageError
from rnnlab.interop import from_cudnn, to_cudnn
from rnnlab.unroll import unroll
from tests.interop.networks import B, D, H, T, assert_close, assert_same_network, draw_params
from tests.interop.networks import inputs as draw_inputs

LSTM = cells.LSTM(H)
LENGTHS = jnp.full((B,), T, jnp.int32)


def states(depth, both_ways):
    return jnp.zeros((depth * (2 if both_ways else 1), B, H), jnp.float32)


def arrange(depth, both_ways):
    return Stack((bidirectional(LSTM) if both_ways else LSTM,) * depth)


def reference(depth, both_ways):
    """JAX's own statement of what cuDNN computes, from the vector that cuDNN takes."""

    def run(weights, xs):
        parts = rnn.unpack_lstm_weights(weights, D, H, depth, both_ways)
        state = states(depth, both_ways)
        ys, _, _ = rnn.lstm_ref(
            xs.swapaxes(0, 1), state, state, *parts, LENGTHS, D, H, depth, 0.0, both_ways
        )
        return ys.swapaxes(0, 1)

    return run


@pytest.mark.parametrize(("both_ways", "depth"), [(False, 2), (True, 2)])
def test_weights_of_cudnn_give_the_outputs_and_gradients_of_its_reference(both_ways, depth):
    layer = arrange(depth, both_ways)
    size = rnn.get_num_params_in_lstm(D, H, depth, both_ways)
    weights = 0.5 * np.random.default_rng(2).normal(size=size).astype(np.float32)
    assert_same_network(
        weights,
        reference(depth, both_ways),
        (layer, lambda vector: from_cudnn(layer, vector, D), "hoisted"),
    )


@pytest.mark.gpu
@pytest.mark.parametrize("both_ways", [False, True], ids=["forwards", "bidirectional"])
def test_cudnn_computes_what_our_weights_compute(both_ways):
    layer = arrange(2, both_ways)
    params = jax.tree.map(jnp.asarray, draw_params(layer))
    xs, state = jnp.asarray(draw_inputs()), states(2, both_ways)
    sizes = (D, H, 2, 0.0, both_ways, jax.lax.Precision.HIGHEST)
    weights = to_cudnn(layer, params)
    final = rnn.lstm(xs.swapaxes(0, 1), state, state, weights, LENGTHS, *sizes)
    _, want = unroll(layer, params, xs)
    assert_close(jax.tree.leaves(final)[0].swapaxes(0, 1), want, 1e-5)


def test_other_cells_and_lengths_are_refused():
    with pytest.raises(UsageError, match=r"GRU\(6\) .*: has no equal in cuDNN, only LSTM"):
        to_cudnn(cells.GRU(H), {})
    weights = to_cudnn(LSTM, draw_params(LSTM))
    with pytest.raises(UsageError, match=r"for D = 5 is float32\[288\]: .* needs \[312\]"):
        from_cudnn(LSTM, weights, D + 1)
    with pytest.raises(UsageError, match="features_in=0"):
        from_cudnn(LSTM, weights, 0)
