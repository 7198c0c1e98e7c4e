"""Dropout and zoneout: their rates, their masks, and what they leave alone."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import Dropout, VariationalDropout, Zoneout
from rnnlab.unroll import unroll
from tests.cells import reference
from tests.combinators.samples import KEY, B, H, T, arguments, assert_close, loop


def test_dropout_zeroes_at_its_rate_and_keeps_the_mean():
    xs = jnp.ones((50, 20, 30), jnp.float64)
    _, ys = unroll(Dropout(0.3), {}, xs, key=KEY)
    assert set(np.unique(ys)) == {0.0, 1 / 0.7}
    assert np.mean(ys == 0) == pytest.approx(0.3, abs=0.01)
    for axis in range(3):  # every step, row and feature by itself
        assert np.std(np.mean(np.asarray(ys), axis=axis)) > 0
    assert np.array_equal(unroll(Dropout(0.3), {}, xs)[1], xs)


@pytest.mark.parametrize("cell", [cells.Elman(H), cells.LSTM(H), cells.PeepholeLSTM(H)])
def test_variational_dropout_has_one_mask_for_all_steps(cell):
    noisy = VariationalDropout(cell, 0.4, 0.5)
    params, xs, state = arguments(noisy)
    with_mask, masked_xs = noisy.randomise(KEY, params, xs)
    x_mask, h_mask = np.asarray(masked_xs / xs), np.asarray(with_mask["h_mask"])
    np.testing.assert_allclose(x_mask, np.broadcast_to(x_mask[0], x_mask.shape))
    assert set(np.unique(x_mask[0].round(12))) == {0.0, round(1 / 0.6, 12)}
    assert set(np.unique(h_mask)) == {0.0, 2.0} and h_mask.shape == (B, H)
    p = {name: np.asarray(value) for name, value in params.items()}

    def masked(time, row, x, s):
        del time
        return reference.step(cell, p, x * x_mask[0, row], s | {"h": s["h"] * h_mask[row]})

    assert_close(unroll(noisy, params, xs, state, key=KEY), loop(masked, xs, state))
    assert_close(unroll(noisy, params, xs, state), unroll(cell, params, xs, state))


def test_variational_dropout_leaves_the_elementwise_path_of_a_gru_alone():
    cell = VariationalDropout(cells.GRUResetBefore(H), 0.0, 0.5)
    params, xs, state = arguments(cell)
    h_mask = np.asarray(cell.randomise(KEY, params, xs)[0]["h_mask"])
    p = {name: np.asarray(value) for name, value in params.items()}

    def gru(time, row, x, s):
        del time
        h = s["h"] * h_mask[row]
        u_r, u_z, u_n = np.split(x @ p["wx"] + p["b"], 3)
        v_r, v_z = np.split(h @ p["wh"][:, : 2 * H], 2)
        r, z = reference.sigmoid(u_r + v_r), reference.sigmoid(u_z + v_z)
        n = np.tanh(u_n + (r * h) @ p["wh"][:, 2 * H :])
        return {"h": (1 - z) * n + z * s["h"]}

    assert_close(unroll(cell, params, xs, state, key=KEY), loop(gru, xs, state))


@pytest.mark.parametrize("cell", [cells.GRU(H), cells.LSTM(H), cells.by_name("lstm_fgr", H)])
def test_zoneout_keeps_old_values_and_evaluates_with_the_mean(cell):
    noisy = Zoneout(cell, 0.3, cell_rate=0.6)
    params, xs, state = arguments(noisy)
    _, (_, noise) = noisy.randomise(KEY, params, xs)
    mean = {"h": np.full((T, B, H), 0.3), "c": np.full((T, B, H), 0.6)}
    p = {name: np.asarray(value) for name, value in params.items()}

    def zoned(keep, time, row, x, s):
        after = reference.step(cell, p, x, s)
        for name in keep.keys() & s.keys():
            d = np.asarray(keep[name][time, row])
            after[name] = d * s[name] + (1 - d) * after[name]
        return after

    assert set(noise) == {"h", "c"} & set(state._fields)
    assert all(set(np.unique(part)) == {0.0, 1.0} for part in noise.values())
    assert_close(unroll(noisy, params, xs, state, key=KEY), loop(partial(zoned, noise), xs, state))
    assert_close(unroll(noisy, params, xs, state), loop(partial(zoned, mean), xs, state))


def test_zoneout_draws_each_part_at_its_rate():
    cell = Zoneout(cells.LSTM(100), 0.1, cell_rate=0.5)
    _, (_, noise) = cell.randomise(KEY, {}, jnp.zeros((20, 10, 1)))
    assert np.mean(noise["h"]) == pytest.approx(0.1, abs=0.01)
    assert np.mean(noise["c"]) == pytest.approx(0.5, abs=0.01)
    assert Zoneout(cells.LSTM(2), 0.1).rates == {"h": 0.1, "c": 0.1}
