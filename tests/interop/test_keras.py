from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.errors import UsageError
from rnnlab.interop import from_keras, to_keras
from rnnlab.unroll import unroll
from tests.interop.networks import (
    B,
    D,
    H,
    T,
    assert_close,
    assert_equal,
    assert_same_network,
    draw,
    draw_params,
    inputs,
)

KINDS = {
    "tanh": ("SimpleRNN", {}, cells.Elman(H)),
    "identity": ("SimpleRNN", {"activation": None}, cells.Elman(H, activation="identity")),
    "lstm": ("LSTM", {}, cells.LSTM(H)),
    "gru": ("GRU", {"reset_after": True}, cells.GRU(H)),
    "gru reset before": ("GRU", {"reset_after": False}, cells.GRUResetBefore(H)),
}


@pytest.fixture
def keras(monkeypatch, tmp_path):
    """Keras on JAX; it reads both variables when it is first imported, and writes to its home."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "jax":
        pytest.skip("Keras was imported with another backend")
    with jax.numpy_dtype_promotion("standard"):
        yield keras


def make(keras, kind):
    """A built layer with weights none of which is zero, its run, and the equal cell."""
    name, settings, cell = KINDS[kind]
    layer = getattr(keras.layers, name)(H, return_sequences=True, dtype="float32", **settings)
    layer.build((B, T, D))
    layer.set_weights(draw([variable.value for variable in layer.weights]))

    def run(weights, xs):
        fixed = [variable.value for variable in layer.non_trainable_variables]
        return layer.stateless_call(weights, fixed, xs.swapaxes(0, 1))[0].swapaxes(0, 1)

    return layer, run, cell


@pytest.mark.peers
@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_keras_give_its_outputs_and_gradients(keras, kind):
    layer, run, cell = make(keras, kind)
    weights = [np.asarray(variable.value) for variable in layer.weights]
    assert_equal(jax.device_get(from_keras(cell, layer)), from_keras(cell, weights))
    assert_same_network(weights, run, (cell, partial(from_keras, cell), "hoisted"))


@pytest.mark.peers
def test_keras_computes_what_our_weights_compute(keras):
    layer, run, cell = make(keras, "gru")
    params = draw_params(cell)
    layer.set_weights(to_keras(cell, params))
    xs = jnp.asarray(inputs())
    _, want = unroll(cell, params, xs)
    assert_close(run([variable.value for variable in layer.weights[:3]], xs), want, 1e-5)


@pytest.mark.peers
def test_layers_of_another_kind_are_refused(keras):
    layer, _, _ = make(keras, "gru reset before")
    with pytest.raises(UsageError, match=r"reset_after=False: GRU\(6\).* with reset_after=True"):
        from_keras(cells.GRU(H), layer)
    with pytest.raises(UsageError, match=r"weights are of Keras's GRU: LSTM\(6\) .* equals LSTM"):
        from_keras(cells.LSTM(H), layer)
    with pytest.raises(UsageError, match=r"weights is list of 0: .* needs a built layer"):
        from_keras(cells.LSTM(H), keras.layers.LSTM(H))


def test_lists_of_another_cell_are_refused():
    lstm, gru = cells.LSTM(H), cells.GRU(H)
    weights = to_keras(gru, draw_params(gru))
    with pytest.raises(UsageError, match=r"bias is float32\[2, 18\]: GRUResetBefore\(6\)"):
        from_keras(cells.GRUResetBefore(H), weights)
    with pytest.raises(
        UsageError, match=r"kernel is float32\[4, 18\]: LSTM\(6\).* needs \[D, 24\]"
    ):
        from_keras(lstm, weights)
    with pytest.raises(UsageError, match="weights is list of 1: LSTM"):
        from_keras(lstm, weights[:1])


def test_without_a_bias_it_is_zero():
    gru = cells.GRU(H)
    params = draw_params(gru)
    got = from_keras(gru, to_keras(gru, params)[:2])
    assert_equal({name: got[name] for name in ("wx", "wh")}, {n: params[n] for n in ("wx", "wh")})
    assert not np.any(got["b"]) and not np.any(got["bh"])
