"""The strategy `cudnn`, its kernel replaced by JAX's own statement of what cuDNN computes."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

import rnnlab.cells as cells
from rnnlab.combinators import LayerNorm, Stack, VariationalDropout, bidirectional
from rnnlab.errors import UsageError
from rnnlab.strategies import CuDNN, autodiff, cudnn, supported
from rnnlab.strategies.base import on_cuda
from rnnlab.unroll import unroll
from tests import quick
from tests.strategies.samples import assert_close, draw, reference_run, weigh

T, D, H = 6, 4, 5
LSTM = cells.LSTM(H)
LENGTHS = np.array([6, 0, 4])
BOTH_WAYS = Stack((bidirectional(LSTM), LSTM))


def kernel(x, h, c, weights, lengths, features, hidden, layers, dropout, both_ways, precision):
    """`rnn.lstm` on any device; what cuDNN does not promise is made NaN."""
    assert precision == jax.lax.Precision.HIGHEST and lengths.dtype == jnp.int32
    assert min(x.shape) > 0 and weights.dtype == x.dtype == jnp.float32
    parts = rnn.unpack_lstm_weights(weights, features, hidden, layers, both_ways)
    y, h, c = rnn.lstm_ref(x, h, c, *parts, lengths, features, hidden, layers, dropout, both_ways)
    allowed = (lengths >= 1) & (lengths <= x.shape[1])
    within = (jnp.arange(x.shape[1], dtype=jnp.int32) < lengths[:, None]) & allowed[:, None]
    h, c = (jnp.where(allowed[:, None], part, jnp.nan) for part in (h, c))
    return jnp.where(within[..., None], y, jnp.nan), h, c


STAND_IN = CuDNN(kernel)


def draw_arguments(layer, *batch_shape):
    params = jax.eval_shape(lambda: layer.init(jax.random.key(0), D))
    xs = jax.ShapeDtypeStruct((T, *batch_shape, D), jnp.float32)
    return draw((params, xs, layer.initial_state(batch_shape)), 0)


@cache
def compiled(layer, strategy):
    def loss(params, xs, state, flags):
        result = unroll(layer, params, xs, state, strategy=strategy, **flags)
        return weigh(result), result

    return quick.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))


@pytest.mark.parametrize("flags", [{}, {"lengths": LENGTHS}], ids=["whole", "lengths"])
@pytest.mark.parametrize("layer", [LSTM, BOTH_WAYS], ids=["layer", "both ways"])
def test_the_call_has_the_values_and_gradients_of_the_equations(layer, flags):
    args = draw_arguments(layer, 3)
    (_, values), gradients = compiled(layer, STAND_IN)(*args, flags)
    assert {leaf.dtype for leaf in jax.tree.leaves((values, gradients))} == {jnp.dtype("float32")}
    exact = jax.tree.map(lambda a: np.asarray(a, np.float64), args)
    assert_close(values, reference_run(layer, *exact, **flags), 2e-5)
    _, want = compiled(layer, autodiff)(*jax.tree.map(jnp.asarray, exact), flags)
    assert_close(gradients, want, 1e-4)


@pytest.mark.parametrize("batch_shape", [(), (2, 3)])
def test_any_batch_shape(batch_shape):
    params, xs, state = draw_arguments(LSTM, *batch_shape)
    lengths = np.arange(np.prod(batch_shape, dtype=int)).reshape(batch_shape) + 1
    got = compiled(LSTM, STAND_IN)(params, xs, state, {"lengths": lengths})
    assert_close(got, compiled(LSTM, autodiff)(params, xs, state, {"lengths": lengths}), 1e-4)


@pytest.mark.parametrize("shape", [(0, 3), (T, 0)])
def test_nothing_to_do_needs_no_call(shape):
    params, _, state = draw_arguments(LSTM, shape[1])
    final, ys = unroll(LSTM, params, jnp.ones((*shape, D), jnp.float32), state, strategy=STAND_IN)
    assert ys.shape == (*shape, H) and ys.dtype == jnp.float32
    jax.tree.map(np.testing.assert_array_equal, final, state)


@pytest.mark.parametrize(
    "cell",
    [cells.GRU(H), cells.PeepholeLSTM(H), LayerNorm(LSTM), VariationalDropout(LSTM, 0.1, 0.1)],
    ids=lambda cell: type(cell).__name__,
)
def test_other_cells_are_refused_with_what_runs_them(cell):
    params, xs, _ = draw_arguments(cell, 3)
    name = type(cell).__name__
    with pytest.raises(
        UsageError,
        match=f"^strategy='cudnn': cell={name} is not LSTM, the one cell that it runs; "
        "use one of autodiff, hoisted, stepwise, rematerialised, split, auto$",
    ):
        unroll(cell, params, xs, strategy=STAND_IN)


def test_other_dtypes_and_resets_are_refused():
    params, xs, _ = draw_arguments(LSTM, 3)
    with pytest.raises(UsageError, match=r"'cudnn': resets are given, .*; use one of autodiff, "):
        unroll(LSTM, params, xs, resets=np.zeros((T, 3), bool), strategy=STAND_IN)
    for dtype in (jnp.bfloat16, jnp.float64):
        low, ys = jax.tree.map(lambda a, dtype=dtype: a.astype(dtype), (params, xs))
        message = f"'cudnn': xs is {jnp.dtype(dtype)}, it computes in float32 only; use one of auto"
        with pytest.raises(UsageError, match=message):
            unroll(LSTM, low, ys, strategy=STAND_IN)


@pytest.mark.skipif(on_cuda(), reason="there is a GPU, where cuDNN runs")
def test_other_devices_are_refused():
    params, xs, _ = draw_arguments(LSTM, 3)
    with pytest.raises(
        UsageError, match=r"the device is \S+, it needs a GPU with CUDA; use one of"
    ):
        unroll(LSTM, params, xs, strategy="cudnn")


def test_supported_names_what_runs_all_cells_of_a_layer():
    everywhere = ("autodiff", "hoisted", "stepwise", "rematerialised", "split")
    assert supported(cells.GRU(H)) == supported(LayerNorm(LSTM)) == (*everywhere, "auto")
    assert supported(BOTH_WAYS) == (*everywhere, *("cudnn",) * on_cuda(), "auto")
    assert supported(Stack((bidirectional(LSTM), cells.GRU(H)))) == (*everywhere, "auto")


def test_a_chosen_device_counts():
    with jax.default_device(jax.devices("cpu")[0]):
        assert not on_cuda()
    with jax.default_device("cpu"):
        assert "cudnn" not in supported(LSTM)


@pytest.mark.gpu
@pytest.mark.parametrize("flags", [{}, {"lengths": LENGTHS}], ids=["whole", "lengths"])
@pytest.mark.parametrize("layer", [LSTM, BOTH_WAYS], ids=["layer", "both ways"])
def test_cudnn_has_the_values_and_gradients_of_autodiff(layer, flags):
    args = draw_arguments(layer, 3)
    (_, values), gradients = compiled(layer, cudnn)(*args, flags)
    exact = jax.tree.map(lambda a: a.astype(jnp.float64), args)
    (_, want), want_gradients = compiled(layer, autodiff)(*exact, flags)
    assert_close(values, want, 2e-5)
    assert_close(gradients, want_gradients, 1e-4)
