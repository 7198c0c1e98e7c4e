"""Every combinator inside of others, under every strategy."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import Dropout, LayerNorm, Residual, Stack, VariationalDropout, Zoneout
from rnnlab.strategies import Rematerialised, Strategy, Truncated, autodiff, hoisted
from rnnlab.unroll import step, unroll
from tests import quick
from tests.combinators.samples import (
    KEY,
    LENGTHS,
    RESETS,
    B,
    D,
    H,
    T,
    arguments,
    assert_close,
    normal,
)


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
