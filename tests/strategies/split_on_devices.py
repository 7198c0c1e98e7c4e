"""Tests of `Split` that need three devices: `test_split.py` runs them in a process of their own."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import LayerNorm, Stack, VariationalDropout, Zoneout, bidirectional
from rnnlab.errors import UsageError
from rnnlab.strategies import Rematerialised, Split, autodiff, hoisted, split
from rnnlab.unroll import unroll
from tests import quick
from tests.strategies.samples import (
    FLAGS,
    PRECISIONS,
    RESETS,
    D,
    H,
    T,
    arguments,
    assert_close,
    assert_near_float64,
    compiled,
    draw,
    draw_arguments,
    evaluate,
    weigh,
)

DEVICES = tuple(jax.local_devices(backend="cpu"))
LSTM = cells.LSTM(H)


def test_there_are_three_devices():
    assert len(DEVICES) == 3 and len(jax.local_devices()) == 3


@pytest.mark.parametrize("name", ["lstm_fgr", "gru_reset_before"])
def test_values_and_gradients_are_those_of_autodiff(name):
    layer, args = arguments(name)  # both directions, and two layers
    run = compiled(layer, split)
    for case, flags in FLAGS.items():
        assert_close(run(*args, flags), evaluate(name, "autodiff")[case])


@pytest.mark.slow
@pytest.mark.parametrize("name", cells.CELLS)
def test_values_and_gradients_of_every_cell(name):
    test_values_and_gradients_are_those_of_autodiff(name)
    for dtype, tolerance in PRECISIONS:
        assert_near_float64(name, "split", dtype, tolerance)


def draw_batch(cell, *batch_shape, dtype=jnp.float64):
    """Parameters, inputs and a state for any batch shape."""
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), D, dtype))
    xs = jax.ShapeDtypeStruct((T, *batch_shape, D), dtype)
    return draw((params, xs, cell.initial_state(batch_shape, dtype)), 0)


@cache
def gradient(cell, strategy, noise=False, reverse=False, flagged=False):
    key = jax.random.key(3) if noise else None

    def loss(params, xs, state):
        batch_shape = xs.shape[1:-1]
        lengths = jnp.arange(np.prod(batch_shape, dtype=int)).reshape(batch_shape) % (T + 1)
        flags = {"lengths": lengths} if flagged else {}
        result = unroll(
            cell, params, xs, state, key=key, reverse=reverse, strategy=strategy, **flags
        )
        return weigh(result), result

    return quick.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))


@pytest.mark.parametrize(("batch_shape", "count"), [((4,), 2), ((5,), 1), ((2, 3), 3)])
def test_as_many_devices_work_as_divide_the_batch(batch_shape, count):
    args = draw_batch(LSTM, *batch_shape)
    settings = {"reverse": True, "flagged": True}
    got = gradient(LSTM, Split(devices=DEVICES), **settings)(*args)
    assert_close(got, gradient(LSTM, autodiff, **settings)(*args))
    assert len(got[0][1][1].sharding.device_set) == count


def test_an_empty_batch_has_empty_results():
    params, xs, state = draw_batch(LSTM, 0)
    final, ys = unroll(LSTM, params, xs, state, strategy=split)
    assert ys.shape == (T, 0, H) and final.c.shape == (0, H)


@pytest.mark.parametrize(
    "cell",
    [
        VariationalDropout(LSTM, 0.3, 0.4),
        Zoneout(cells.GRU(H), 0.3),
        LayerNorm(Zoneout(VariationalDropout(cells.GRUResetBefore(H), 0.2, 0.4), 0.3)),
        bidirectional(VariationalDropout(LSTM, 0.3, 0.4)),
    ],
    ids=["dropout", "zoneout", "all", "bidirectional"],
)
def test_every_row_keeps_its_noise(cell):
    args = draw_batch(cell, 2, 3)
    (_, values), gradients = gradient(cell, split, noise=True)(*args)
    (_, want), want_gradients = gradient(cell, autodiff, noise=True)(*args)
    assert_close((values, gradients), (want, want_gradients))
    (_, quiet), _ = gradient(cell, autodiff)(*args)
    assert np.abs(np.asarray(want[1]) - np.asarray(quiet[1])).max() > 0.01  # there was noise


def test_bfloat16_stays_bfloat16():
    args = draw_batch(LSTM, 6, dtype=jnp.bfloat16)
    got = gradient(LSTM, split)(*args)
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {jnp.dtype(jnp.bfloat16)}
    want = gradient(LSTM, autodiff)(*(jax.tree.map(lambda a: a.astype(jnp.float64), args)))
    for a, b in zip(jax.tree.leaves(got[1]), jax.tree.leaves(want[1]), strict=True):
        assert np.linalg.norm(a.astype(jnp.float64) - b) <= 0.2 * (1 + np.linalg.norm(b))


@pytest.mark.parametrize("inner", [autodiff, hoisted])
def test_vmap_and_rematerialisation_change_nothing(inner):
    args = draw_arguments(LSTM)
    each = [args, jax.tree.map(lambda a: 0.7 * a, args)]
    run = compiled(LSTM, autodiff)
    want = jax.tree.map(lambda *a: jnp.stack(a), *(run(*a, {}) for a in each))
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *each)

    def loss(params, xs, state):
        result = unroll(LSTM, params, xs, state, strategy=Rematerialised(3, Split(inner)))
        return weigh(result), result

    both = jax.vmap(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
    (_, values), gradients = quick.jit(both)(*stacked)
    assert_close((values, gradients), want)


def test_forward_mode_is_that_of_the_inner_strategy():
    args = draw_batch(LSTM, 6)
    direction = draw(args, 4)

    def loss(strategy):
        return lambda *a: weigh(unroll(LSTM, *a, strategy=strategy))

    _, slope = quick.jit(lambda a, d: jax.jvp(loss(Split(autodiff)), a, d))(args, direction)
    gradients = gradient(LSTM, autodiff)(*args)[1]
    want = sum(map(jnp.vdot, jax.tree.leaves(gradients), jax.tree.leaves(direction)))
    np.testing.assert_allclose(slope, want, rtol=1e-11)


def test_a_call_without_jit_and_results_in_further_steps():
    stack = Stack((LSTM, LSTM))
    params = stack.init(jax.random.key(0), H, jnp.float64)
    xs, resets = draw(jnp.zeros((T, 3, H)), 1), jnp.asarray(RESETS)
    state, ys = unroll(stack, params, xs, resets=resets, strategy=split)
    want_state, want = unroll(stack, params, xs, resets=resets)
    assert_close((state, ys), (want_state, want))
    _, ys = unroll(stack, params, ys, state, strategy=split)  # arrays that lie on all devices
    assert_close(ys, unroll(stack, params, want, want_state)[1])


def test_arrays_on_other_devices_are_refused():
    params, xs, state = draw_batch(LSTM, 6)
    put = jax.device_put(xs, DEVICES[1])
    with pytest.raises(UsageError, match=r"^xs is committed to .*1: strategy='split' runs on .*2;"):
        unroll(LSTM, params, put, state, strategy=split)
    assert unroll(LSTM, params, put, state, strategy=Split(devices=DEVICES[:1]))[1].shape[1] == 6


@pytest.mark.parametrize("jit", [False, True])
def test_a_program_that_is_divided_already_is_refused(jit):
    params, xs, _ = draw_batch(LSTM, 6)
    mesh = jax.sharding.Mesh(np.asarray(DEVICES), ("data",))
    wrap = jax.jit if jit else (lambda f: f)
    run = wrap(lambda xs: unroll(LSTM, params, xs, strategy=split)[1])
    with (
        pytest.raises(UsageError, match=r"inside a mesh with the axes data, .*; use its inner"),
        jax.set_mesh(mesh),
    ):
        run(xs)
    spec = jax.sharding.PartitionSpec(None, "data")
    spread = wrap(jax.shard_map(run, mesh=mesh, in_specs=spec, out_specs=spec))
    with pytest.raises(UsageError, match="inside a mesh with the axes data"):
        spread(draw(jnp.zeros((T, 18, D)), 0))
