"""Combinators against plain NumPy, their noise, and every strategy under any nesting."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import (
    Bidirectional,
    Dropout,
    LayerNorm,
    Residual,
    Stack,
    VariationalDropout,
    Zoneout,
    bidirectional,
    stack,
)
from rnnlab.errors import UsageError
from rnnlab.layer import streams
from rnnlab.strategies import Rematerialised, Strategy, Truncated, autodiff, hoisted
from rnnlab.unroll import step, unroll
from tests import quick
from tests.cells import reference

T, B, D, H = 6, 3, 4, 4
KEY = jax.random.key(3)
LENGTHS = np.array([6, 0, 4])
RESETS = np.random.default_rng(5).random((T, B)) < 0.4


def normal(tree, seed=0, scale=0.6):
    """Normal numbers in the shapes and dtypes of `tree`."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.asarray(scale * rng.normal(size=a.shape), a.dtype), tree)


def arguments(layer, dtype=jnp.float64, features=D):
    """Parameters, inputs and a state none of which is zero."""
    shapes = jax.eval_shape(lambda key: layer.init(key, features, dtype), KEY)
    xs = normal(jax.ShapeDtypeStruct((T, B, features), dtype), 1)
    return normal(shapes, 2), xs, normal(layer.initial_state((B,), dtype), 3)


def assert_close(got, want, tolerance=1e-11):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), got, want)


def rows(tree, row):
    """One row of a state, as a dict of vectors in NumPy."""
    return {name: np.asarray(part[row]) for name, part in tree._asdict().items()}


def loop(step, xs, state):
    """Runs `step(time, row, x, state)` over all rows; the outputs `[T, B, H]` of its `h`."""
    ys = np.zeros((T, B, H))
    final = []
    for row in range(B):
        now = rows(state, row)
        for time in range(T):
            now = step(time, row, np.asarray(xs[time, row]), now)
            ys[time, row] = now["h"]
        final.append(now)
    return type(state)(**{n: np.stack([f[n] for f in final]) for n in state._fields}), ys


# Arrangements.


def test_residual_adds_the_inputs():
    cell = cells.LSTM(D)
    params, xs, state = arguments(cell)
    final, ys = unroll(
        Residual(cell), params, xs, state, lengths=LENGTHS, resets=RESETS, reverse=True
    )
    want, plain = reference.run(cell, params, xs, state, LENGTHS, RESETS, True)
    within = np.arange(T)[:, None, None] < LENGTHS[:, None]
    assert_close((final, ys), (want, np.where(within, plain + np.asarray(xs), 0)))


def test_residual_goes_around_other_arrangements():
    inside = bidirectional(stack(cells.GRU, (3, 2)))
    params, xs, state = arguments(inside)
    final, ys = unroll(inside, params, xs, state)
    assert_close(unroll(Residual(inside), params, xs, state), (final, ys + xs))


def test_bidirectional_joins_both_directions_and_reverse_turns_both_around():
    layer = Bidirectional(cells.LSTM(3), cells.GRU(2))
    params, xs, state = arguments(layer)
    for reverse in (False, True):
        flags = {"lengths": LENGTHS, "resets": RESETS}
        final, ys = unroll(layer, params, xs, state, **flags, reverse=reverse)
        ahead, left = reference.run(
            layer.forward, params["forward"], xs, state.forward, **flags, reverse=reverse
        )
        back, right = reference.run(
            layer.backward, params["backward"], xs, state.backward, **flags, reverse=not reverse
        )
        assert_close(ys, np.concatenate([left, right], axis=-1))
        assert_close((final.forward, final.backward), (ahead, back))


def test_stack_of_sizes():
    layers = stack(cells.LSTM, (5, 3), dropout=0.2)
    assert layers == Stack((cells.LSTM(5), Dropout(0.2), cells.LSTM(3)))
    assert layers.features_out == 3
    assert stack(cells.GRU, [2]) == Stack((cells.GRU(2),))
    params = jax.eval_shape(lambda key: layers.init(key, D, jnp.bfloat16), KEY)
    assert [p["wx"].shape for p in params if p] == [(D, 20), (5, 12)]
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}


def test_layers_draw_their_parameters_with_keys_of_their_own():
    one, two = stack(cells.Elman, (D, D)).init(KEY, D)
    assert not np.array_equal(one["wx"], two["wx"])
    both = bidirectional(cells.Elman(D)).init(KEY, D)
    assert not np.array_equal(both["forward"]["wx"], both["backward"]["wx"])


@pytest.mark.slow
def test_the_joint_state_of_a_stack_has_a_jacobian():
    layers = stack(cells.LSTM, (3, 2))
    params, xs, state = arguments(layers)
    jacobian = jax.jacfwd(lambda s: layers.step(params, xs[0], s)[0])(state)
    assert not jacobian[0].h[1].h.any()  # the lower layer does not see the upper one
    assert jacobian[1].h[0].c.any()  # the upper one sees the carousel of the lower


def test_only_what_reads_one_way_has_a_step():
    assert not hasattr(bidirectional(cells.GRU(2)), "step")
    for layer in (
        Stack((cells.GRU(4), bidirectional(cells.GRU(2)))),
        Residual(bidirectional(cells.GRU(4))),
    ):
        assert not streams(layer)
        params, xs, state = arguments(layer, features=8 if isinstance(layer, Residual) else D)
        with pytest.raises(UsageError, match="Bidirectional reads the sequence in both directions"):
            layer.step(params, xs[0], state)
    assert streams(Residual(Stack((Dropout(0.5), cells.GRU(4)))))


# Layer normalisation.


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


# Noise.


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


# Any nesting, under any strategy.


def everything(cell):
    """A cell of D units inside every combinator there is."""
    noisy = Zoneout(LayerNorm(VariationalDropout(cell, 0.2, 0.3)), 0.2)
    inside_out = LayerNorm(VariationalDropout(Zoneout(cell, 0.2, 0.1), 0.3, 0.2))
    return Stack((Residual(noisy), Dropout(0.25), inside_out))


def program(layer, strategy: Strategy = autodiff, **flags):
    """`(params, xs, state, key)` to results and gradients."""

    def loss(params, xs, state, key):
        result = unroll(layer, params, xs, state, key=key, strategy=strategy, **flags)
        return sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves(result)), result

    return quick.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))


@pytest.mark.parametrize(
    ("name", "reverse"),
    [
        ("lstm_peephole", False),
        pytest.param("gru_reset_before", True, marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_all_strategies_agree_on_everything_at_once(name, reverse):
    layer = everything(cells.by_name(name, D))
    params, xs, state = arguments(layer)
    flags = {"lengths": LENGTHS, "resets": RESETS, "reverse": reverse}
    want = program(layer, **flags)(params, xs, state, KEY)
    dirty = jnp.where(np.arange(T)[:, None, None] < LENGTHS[:, None], xs, jnp.nan)
    for strategy in (hoisted, Rematerialised(4, hoisted), Truncated(T)):
        assert_close(program(layer, strategy, **flags)(params, dirty, state, KEY), want)


def test_the_gradient_of_everything_agrees_with_finite_differences():
    layer = everything(cells.LSTM(D))
    args = arguments(layer)
    run = program(layer, lengths=LENGTHS, resets=RESETS)
    _, gradients = run(*args, KEY)
    direction, eps = normal(args, 7), 1e-5

    def loss(sign):
        moved = jax.tree.map(lambda a, d: a + sign * eps * d, args, direction)
        return run(*moved, KEY)[0][0]

    slope = sum(map(jnp.vdot, jax.tree.leaves(gradients), jax.tree.leaves(direction)))
    np.testing.assert_allclose(slope, (loss(1) - loss(-1)) / (2 * eps), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("key", [None, KEY])
def test_everything_keeps_its_dtype(key):
    layer = everything(cells.LSTM(D))
    run = program(layer, hoisted)
    for dtype, tolerance in ((jnp.float32, 1e-4), (jnp.bfloat16, 0.2)):
        low = arguments(layer, dtype)
        got = run(*low, key)
        assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {jnp.dtype(dtype)}
        want = run(*jax.tree.map(lambda a: a.astype(jnp.float64), low), key)
        values, expected = got[0][1], want[0][1]
        assert_close(jax.tree.map(lambda a: a.astype(jnp.float64), values), expected, tolerance)


@pytest.mark.slow
def test_everything_vmaps_over_parameters_and_keys():
    layer = everything(cells.GRU(D))
    params, xs, state = arguments(layer)
    keys = jax.random.split(KEY, 2)
    many = jax.tree.map(lambda a: jnp.stack([a, 0.5 * a]), params)
    run = quick.jit(lambda p, k: unroll(layer, p, xs, state, key=k, strategy="hoisted"))
    got = jax.vmap(run)(many, keys)
    for index, key in enumerate(keys):
        one = jax.tree.map(lambda a, i=index: a[i], many)
        want = run(one, key)
        assert_close(jax.tree.map(lambda a, i=index: a[i], got), want)


def test_the_same_key_draws_the_same_noise_and_each_layer_its_own():
    layer = Stack((cells.AdditiveIdentity(200), Dropout(0.5), Dropout(0.5)))
    params = ({"wx": jnp.zeros((D, 200)), "b": jnp.ones(200)}, {}, {})
    run = partial(unroll, layer, params, jnp.zeros((T, B, D)))
    _, ys = run(key=KEY)
    assert np.array_equal(run(key=KEY)[1], ys)
    assert not np.array_equal(run(key=jax.random.key(4))[1], ys)
    assert np.mean(ys == 0) == pytest.approx(1 - 0.5 * 0.5, abs=0.03)


@pytest.mark.parametrize("name", cells.CELLS)
def test_every_cell_can_be_wrapped(name):
    cell = cells.by_name(name, H)
    assert isinstance(cell, cells.StandardCell)
    layer = Zoneout(LayerNorm(VariationalDropout(cell, 0.2, 0.2)), 0.2)
    assert (layer.hidden, layer.gate_names, layer.features_out) == (H, cell.gate_names, H)
    assert layer.recurrent_gate_names == cell.recurrent_gate_names
    params = jax.eval_shape(lambda key: layer.init(key, D), KEY)
    gains = jax.tree.leaves((params["gain_u"], params["gain_v"]))
    assert {leaf.shape for leaf in gains} == {(H,)}
    xs = jax.ShapeDtypeStruct((T, B, D), jnp.float32)
    got = jax.eval_shape(lambda p, x: unroll(layer, p, x, key=KEY, strategy="hoisted"), params, xs)
    want = jax.eval_shape(lambda x: unroll(cell, cell.init(KEY, D), x), xs)
    assert got == want


@pytest.mark.parametrize(
    "name",
    [
        "additive",
        "minimal",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("mut1", "lstm_fgr")),
    ],
)
def test_hoisted_agrees_on_wrapped_cells_of_every_kind(name):
    layer = Zoneout(LayerNorm(VariationalDropout(cells.by_name(name, H), 0.2, 0.2)), 0.2)
    args = arguments(layer, features=3)
    assert_close(program(layer, hoisted)(*args, KEY), program(layer)(*args, KEY))


def test_streaming_evaluates_without_noise():
    layer = Stack((Residual(Zoneout(LayerNorm(cells.LSTM(D)), 0.3)), Dropout(0.5)))
    params, xs, state = arguments(layer)
    final, ys = unroll(layer, params, xs, state)
    for x, y in zip(xs, ys, strict=True):
        state, got = step(layer, params, x, state)
        assert_close(got, y)
    assert_close(state, final)


# What does not fit.


@pytest.mark.parametrize("rate", [-0.1, 1, 1.0, float("nan"), True, "0.5", None])
def test_a_rate_outside_zero_to_one_is_refused(rate):
    cell = cells.LSTM(H)
    for make in (
        Dropout,
        lambda r: Zoneout(cell, r),
        lambda r: VariationalDropout(cell, r, 0.1),
        lambda r: VariationalDropout(cell, 0.1, r),
    ):
        with pytest.raises(UsageError, match=r"rate=.*: must be a probability in \[0, 1\)"):
            make(rate)
    if rate is not None:
        with pytest.raises(UsageError, match="cell_rate="):
            Zoneout(cell, 0.1, rate)


def test_arrangements_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="features_in=3: Residual adds its input to 4 outputs"):
        Residual(cells.LSTM(4)).init(KEY, 3)
    params, _, _ = arguments(cells.LSTM(4))
    with pytest.raises(UsageError, match="features_in=3: Residual"):
        unroll(Residual(cells.LSTM(4)), params, jnp.zeros((T, B, 3), jnp.float64))
    for layers in ((), (Dropout(0.1),)):
        with pytest.raises(UsageError, match="must contain at least one cell"):
            Stack(layers)
    with pytest.raises(UsageError, match="layer=Dropout"):
        Residual(Dropout(0.1))
    with pytest.raises(UsageError, match="backward=3: must be a cell"):
        Bidirectional(cells.GRU(2), 3)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wrap", [LayerNorm, lambda c: Zoneout(c, 0.1)])
def test_wrappers_want_a_single_cell(wrap):
    for layer in (stack(cells.GRU, (2,)), bidirectional(cells.GRU(2)), Dropout(0.1), "lstm"):
        with pytest.raises(UsageError, match="needs a single cell"):
            wrap(layer)
    with pytest.raises(UsageError, match="has a LayerNorm already"):
        LayerNorm(Zoneout(LayerNorm(cells.GRU(2)), 0.1)).init(KEY, 3)
