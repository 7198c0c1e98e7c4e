from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.errors import UsageError
from rnnlab.interop import from_haiku, to_haiku
from rnnlab.unroll import unroll
from tests.interop.networks import (
    B,
    D,
    H,
    assert_close,
    assert_same_network,
    draw,
    draw_params,
    inputs,
)

KINDS = {
    "VanillaRNN": cells.Elman(H, activation="relu"),
    "LSTM": cells.LSTM(H),
    "GRU": cells.GRUResetBefore(H),
}


def make(kind, **settings):
    """A transformed Haiku function over the sequence, and parameters none of which is zero."""
    hk = pytest.importorskip("haiku")

    def run(xs):
        core = getattr(hk, kind)(H, **settings)
        return hk.dynamic_unroll(core, xs, core.initial_state(B))[0]

    transformed = hk.without_apply_rng(hk.transform(run))
    with jax.numpy_dtype_promotion("standard"):
        weights = jax.eval_shape(transformed.init, jax.random.key(0), jnp.asarray(inputs()))
    return transformed.apply, draw(weights)


@pytest.mark.peers
@pytest.mark.parametrize("name", KINDS)
def test_weights_of_haiku_give_its_outputs_and_gradients(name):
    apply, weights = make(name)
    assert_same_network(weights, apply, (KINDS[name], partial(from_haiku, KINDS[name]), "hoisted"))


@pytest.mark.peers
def test_one_bias_of_a_vanilla_rnn_is_enough():
    apply, weights = make("VanillaRNN", double_bias=False, name="core")
    convert = partial(from_haiku, KINDS["VanillaRNN"], name="core")
    assert_same_network(weights, apply, (KINDS["VanillaRNN"], convert, "hoisted"))


@pytest.mark.peers
def test_haiku_computes_what_our_weights_compute():
    cell = cells.LSTM(H)
    apply, _ = make("LSTM")
    params = draw_params(cell)
    weights = jax.tree.map(jnp.asarray, to_haiku(cell, params))
    with jax.numpy_dtype_promotion("standard"):
        got = apply(weights, jnp.asarray(inputs()))
    _, want = unroll(cell, params, jnp.asarray(inputs()))
    assert_close(got, want, 1e-5)


def test_the_bias_of_haikus_forget_gate_is_one_less():
    lstm = cells.LSTM(H, forget_bias=1.0)
    b = to_haiku(lstm, lstm.init(jax.random.key(0), D))["lstm/linear"]["b"]
    np.testing.assert_array_equal(b, np.zeros(4 * H))


def test_what_haiku_cannot_say_is_refused():
    with pytest.raises(UsageError, match=r"GRU\(6\) .*Haiku, only .*GRU, reset before the product"):
        to_haiku(cells.GRU(H), {})
    with pytest.raises(UsageError, match="activation='tanh': Haiku has relu only"):
        to_haiku(cells.Elman(H), {})


def test_weights_of_another_module_are_refused():
    lstm = cells.LSTM(H)
    weights = to_haiku(lstm, draw_params(lstm))
    with pytest.raises(UsageError, match=r"name='gru': no such module .* only lstm/linear; GRU"):
        from_haiku(KINDS["GRU"], weights)
    with pytest.raises(UsageError, match=r"lack w_i, .* have linear/w, linear/b: GRUResetBefore"):
        from_haiku(KINDS["GRU"], weights, name="lstm")
    with pytest.raises(UsageError, match=r"lstm/linear/w is float32\[10, 24\]: LSTM\(5\)"):
        from_haiku(cells.LSTM(5), weights)
    with pytest.raises(UsageError, match=r"linear/w is float32\[6, 24\]: .* needs \[D \+ 6, 24\]"):
        from_haiku(lstm, {"lstm/linear": weights["lstm/linear"] | {"w": np.zeros((6, 24), "f")}})
