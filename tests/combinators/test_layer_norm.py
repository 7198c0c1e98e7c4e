"""Layer normalisation inside of cells, against plain NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import rnnlab.cells as cells
from rnnlab.combinators import LayerNorm
from rnnlab.unroll import unroll
from tests.cells import reference
from tests.combinators.samples import KEY, B, D, H, arguments, assert_close, loop


def norm(z, gain):
    """The formula, for each of the blocks of H columns."""
    blocks = z.reshape(-1, H)
    mean, var = blocks.mean(1, keepdims=True), blocks.var(1, keepdims=True)
    return np.ravel(gain) * ((blocks - mean) / np.sqrt(var + 1e-5)).ravel()


def test_layer_norm_of_the_lstm_follows_the_paper():
    cell = LayerNorm(cells.CellNormLSTM(H))
    params, xs, state = arguments(cell)
    p = {name: np.asarray(value) for name, value in params.items()}

    def lstm(time, row, x, s):
        del time, row
        z = norm(x @ p["wx"], p["gain_u"]) + norm(s["h"] @ p["wh"], p["gain_v"]) + p["b"]
        i, f, g, o = np.split(z, 4)
        c = reference.sigmoid(f) * s["c"] + reference.sigmoid(i) * np.tanh(g)
        h = reference.sigmoid(o) * np.tanh(norm(c, p["c_gain"]) + p["c_bias"])
        return {"h": h, "c": c}

    assert_close(unroll(cell, params, xs, state), loop(lstm, xs, state))


def test_layer_norm_reaches_both_products_of_a_cell_that_resets_first():
    cell = LayerNorm(cells.GRUResetBefore(H))
    params, xs, state = arguments(cell)
    p = {name: value for name, value in params.items() if name != "gain_v"}
    p = {name: np.asarray(value) for name, value in p.items()}
    *first, second = params["gain_v"]

    def gru(time, row, x, s):
        del time, row
        u_r, u_z, u_n = np.split(norm(x @ p["wx"], p["gain_u"]) + p["b"], 3)
        v_r, v_z = np.split(norm(s["h"] @ p["wh"][:, : 2 * H], first), 2)
        r, z = reference.sigmoid(u_r + v_r), reference.sigmoid(u_z + v_z)
        n = np.tanh(u_n + norm((r * s["h"]) @ p["wh"][:, 2 * H :], second))
        return {"h": (1 - z) * n + z * s["h"]}

    assert_close(unroll(cell, params, xs, state), loop(gru, xs, state))


def test_layer_norm_starts_with_unit_gains_and_keeps_the_forget_bias():
    params = LayerNorm(cells.LSTM(H, forget_bias=2.0)).init(KEY, D)
    assert_close(params["gain_u"], 4 * (np.ones(H),))
    assert_close(params["b"], np.repeat([0.0, 2, 0, 0], H))
    xs = jnp.zeros((1, B, D), jnp.float32)
    scaled = params | {"gain_u": jax.tree.map(lambda gain: 1e6 * gain, params["gain_u"])}
    cell = LayerNorm(cells.LSTM(H))
    assert_close(unroll(cell, scaled, xs), unroll(cell, params, xs))
