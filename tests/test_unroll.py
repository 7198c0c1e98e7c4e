"""The sequence contract of `unroll`, and streaming."""

from __future__ import annotations

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnlab.cells as cells
from rnnlab.combinators import Bidirectional, Dropout, Residual, Stack, stack
from rnnlab.strategies import Truncated, by_name
from rnnlab.unroll import step, unroll
from tests import quick

T, B, D, H = 5, 2, 3, 4
#: Those that run every cell under all flags; `split` and `cudnn` have tests of their own.
STRATEGIES = ("autodiff", "hoisted", "rematerialised")
CELLS = {"lstm": cells.LSTM(H), "gru_reset_before": cells.GRUResetBefore(H)}

contract = partial(settings, max_examples=20, deadline=None, derandomize=True, database=None)


@st.composite
def requests(draw):
    """A cell, a strategy, a direction, inputs, lengths and resets; few programs, many numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return {
        "name": draw(st.sampled_from(sorted(CELLS))),
        "strategy": draw(st.sampled_from(STRATEGIES)),
        "reverse": draw(st.booleans()),
        "xs": rng.normal(size=(T, B, D)),
        "lengths": np.array(draw(st.lists(st.integers(0, T), min_size=B, max_size=B))),
        "resets": np.array(draw(st.lists(st.booleans(), min_size=T * B, max_size=T * B))).reshape(
            T, B
        ),
    }


@cache
def fixed(name):
    """Parameters and a state none of which is zero."""
    cell, rng = CELLS[name], np.random.default_rng(0)

    def normal(tree):
        return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), tree)

    shapes = jax.eval_shape(lambda key: cell.init(key, D, jnp.float64), jax.random.key(0))
    return normal(shapes), normal(cell.initial_state((B,), jnp.float64))


@cache
def program(name, strategy, reverse):
    """`(params, xs, state, lengths, resets)` to results and gradients, compiled once."""
    run = partial(unroll, CELLS[name], strategy=strategy, reverse=reverse)

    def loss(params, xs, state, lengths, resets):
        final, ys = run(params, xs, state, lengths=lengths, resets=resets)
        total = sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves((final, ys)))
        return total, (final, ys)

    return quick.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))


def evaluate(request, **changes):
    """Final state, outputs and gradients of a request, as NumPy."""
    request = {**request, **changes}
    params, state = fixed(request["name"])
    run = program(request["name"], request["strategy"], request["reverse"])
    given_state = changes.get("state", state)
    (_, result), gradients = run(
        params, request["xs"], given_state, request["lengths"], request["resets"]
    )
    return jax.device_get((*result, gradients))


def assert_close(got, want):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12), got, want)


def assert_same(got, want):
    jax.tree.map(np.testing.assert_array_equal, got, want)


def padding(request):
    return np.arange(T)[:, None] >= request["lengths"]


def sequences(request, row):
    """Begin and end of each sequence of a row, and whether it starts afresh."""
    length = request["lengths"][row]
    starts = [t for t in range(length) if t == 0 or request["resets"][t, row]]
    ends = [*starts, length][1:]
    return [(a, b, request["resets"][a, row]) for a, b in zip(starts, ends, strict=True)]


@cache
def alone(name, steps):
    """One sequence without padding, resets or direction, and its part of the loss."""
    del steps  # one program for each

    def loss(params, xs, state, is_last):
        final, ys = unroll(CELLS[name], params, xs, state)
        last = sum(jnp.sin(leaf).sum() for leaf in final)
        return jnp.sin(ys).sum() + is_last * last, (final, ys)

    return quick.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))


@contract()
@given(request=requests(), garbage=st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -7.0]))
def test_what_stands_in_the_padding_never_matters(request, garbage):
    want = evaluate(request)
    dirty = np.where(padding(request)[..., None], garbage, request["xs"])
    resets = request["resets"] | padding(request)
    assert_same(evaluate(request, xs=dirty, resets=resets), want)
    _, ys, (_, d_xs, _) = want
    assert not ys[padding(request)].any() and not d_xs[padding(request)].any()
    assert np.isfinite(d_xs).all()


@contract(max_examples=25)
@given(request=requests())
def test_each_sequence_is_run_as_if_alone(request):
    name, order = request["name"], -1 if request["reverse"] else 1
    params, state = fixed(name)
    initial = CELLS[name].initial_state((), jnp.float64)
    final, ys, (d_params, d_xs, d_state) = evaluate(request)
    d_params_sum = jax.tree.map(np.zeros_like, d_params)
    for row in range(B):
        now = jax.tree.map(lambda a, row=row: a[row], state)
        d_given = jax.tree.map(np.cos, now)  # of the final state, if no sequence touches it
        for begin, end, fresh in sequences(request, row):
            xs = request["xs"][begin:end, row][::order]
            entering = initial if fresh else now
            is_last = float(end == request["lengths"][row])
            run = alone(name, end - begin)
            (_, (now, outputs)), gradients = jax.device_get(
                run(params, xs[:, None], batch_of_one(entering), is_last)
            )
            now = jax.tree.map(lambda a: a[0], now)
            assert_close(ys[begin:end, row], outputs[::order, 0])
            assert_close(d_xs[begin:end, row], gradients[1][::order, 0])
            d_params_sum = jax.tree.map(np.add, d_params_sum, gradients[0])
            if begin == 0:
                d_given = jax.tree.map(lambda a, f=fresh: 0 * a[0] if f else a[0], gradients[2])
        assert_close(jax.tree.map(lambda a, row=row: a[row], final), now)
        assert_close(jax.tree.map(lambda a, row=row: a[row], d_state), d_given)
    assert_close(d_params, d_params_sum)


def batch_of_one(tree):
    return jax.tree.map(lambda a: a[None], tree)


@contract()
@given(request=requests())
def test_turned_inputs_read_in_reverse_give_turned_outputs(request):
    turned = request["xs"].copy()
    for row in range(B):
        for begin, end, _ in sequences(request, row):
            turned[begin:end, row] = turned[begin:end, row][::-1]
    final, ys, (d_params, _, d_state) = evaluate(request)
    final_back, ys_back, (d_params_back, _, d_state_back) = evaluate(
        request, xs=turned, reverse=not request["reverse"]
    )
    assert_close((final_back, d_params_back, d_state_back), (final, d_params, d_state))
    for row in range(B):
        for begin, end, _ in sequences(request, row):
            assert_close(ys_back[begin:end, row][::-1], ys[begin:end, row])


@pytest.mark.parametrize("strategy", [*map(by_name, STRATEGIES), Truncated(2)])
@pytest.mark.parametrize("reverse", [False, True])
def test_length_zero_and_no_steps_return_the_given_state(strategy, reverse):
    cell = CELLS["lstm"]
    params, state = fixed("lstm")
    xs = jnp.full((T, B, D), jnp.nan)
    run = partial(unroll, cell, params, strategy=strategy, reverse=reverse)
    final, ys = run(xs, state, lengths=np.zeros(B, int), resets=np.ones((T, B), bool))
    assert_same((final, ys), (state, np.zeros((T, B, H))))
    final, ys = run(xs[:0], state)
    assert_same((final, ys), (state, np.zeros((0, B, H))))
    final, _ = run(xs[:0])
    assert_same(final, cell.initial_state((B,), jnp.float64))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("flag", ["lengths", "resets"])
def test_one_flag_alone_equals_both(flag, reverse):
    request = {
        "name": "lstm",
        "strategy": "hoisted",
        "reverse": reverse,
        "xs": np.random.default_rng(0).normal(size=(T, B, D)),
        "lengths": np.array([3, 5]),
        "resets": np.arange(T * B).reshape(T, B) % 3 == 1,
    }
    neutral = {"lengths": np.full(B, T), "resets": np.zeros((T, B), bool)}
    other = "resets" if flag == "lengths" else "lengths"
    got = evaluate(request, **{other: None})
    assert_close(got, evaluate(request, **{other: neutral[other]}))


def test_any_batch_shape_runs():
    params, _ = fixed("lstm")
    run = quick.jit(partial(unroll, CELLS["lstm"], params, reverse=True))
    rng = np.random.default_rng(1)
    xs, lengths = rng.normal(size=(T, 2, 3, D)), rng.integers(0, T + 1, (2, 3))
    resets = rng.random((T, 2, 3)) < 0.3
    final, ys = run(xs, lengths=lengths, resets=resets)
    flat_xs, flat_resets = xs.reshape(T, 6, D), resets.reshape(T, 6)
    flat_final, flat_ys = run(flat_xs, lengths=lengths.reshape(6), resets=flat_resets)
    assert_close(ys.reshape(T, 6, H), flat_ys)
    assert_close(final.h.reshape(6, H), flat_final.h)
    one_final, one_ys = run(xs[:, 1, 2], lengths=lengths[1, 2], resets=resets[:, 1, 2])
    assert_close((one_ys, one_final.c), (ys[:, 1, 2], final.c[1, 2]))


def test_lengths_in_a_small_integer_type_do_not_wrap():
    cell = cells.AdditiveIdentity(H)
    params = cell.init(jax.random.key(0), D, jnp.float64)
    xs = jnp.ones((300, B, D))
    short, wide = np.array([100, 0], np.int8), np.array([100, 0])
    assert_same(unroll(cell, params, xs, lengths=short), unroll(cell, params, xs, lengths=wide))


STREAMING = {
    "lstm_fgr": cells.by_name("lstm_fgr", H),
    "lstm": cells.LSTM(H),
    "gru_reset_before": cells.GRUResetBefore(H),
    "stack": Stack((Residual(cells.GRU(D)), Dropout(0.5), stack(cells.LSTM, (H, 2)))),
}


@pytest.mark.parametrize("name", STREAMING)
def test_steps_taken_one_by_one_equal_unroll_and_compile_once(name):
    cell = STREAMING[name]
    params = cell.init(jax.random.key(0), D, jnp.float64)
    xs = jax.random.normal(jax.random.key(1), (T, B, D), jnp.float64)
    want_state, want_ys = unroll(cell, params, xs)
    traces = []

    @partial(jax.jit, static_argnums=0, donate_argnums=3)
    def counted(cell, params, x, state):
        traces.append(cell)
        return step(cell, params, x, state)

    state, ys = cell.initial_state((B,), jnp.float64), []
    for x in xs:
        state, y = counted(cell, params, x, state)
        ys.append(y)
    assert len(traces) == 1
    assert_close((state, jnp.stack(ys)), (want_state, want_ys))


def test_equal_cells_compile_once():
    traces = []

    @partial(jax.jit, static_argnums=(0, 3))
    def run(cell, params, xs, strategy):
        traces.append(cell)
        return unroll(cell, params, xs, strategy=strategy)

    def combined():
        return Stack((Residual(cells.LSTM(D)), Bidirectional(cells.GRU(H), cells.GRU(H))))

    for make in (lambda: cells.LSTM(H), combined):
        params = make().init(jax.random.key(0), D, jnp.float64)
        before = len(traces)
        for seed in range(3):
            xs = jax.random.normal(jax.random.key(seed), (T, B, D), jnp.float64)
            run(make(), params, xs, Truncated(2))
        assert len(traces) == before + 1


@pytest.mark.parametrize("name", cells.CELLS)
def test_every_cell_is_equal_to_its_twin(name):
    one, twin = (cells.by_name(name, H) for _ in range(2))
    assert one is not twin and one == twin and hash(one) == hash(twin)


@dataclasses.dataclass(frozen=True)
class Blind:
    """A cell that reads no input, as a system does that runs by itself."""

    def init(self, key, features_in, dtype=jnp.float64):
        return {"w": jnp.asarray([[0.9, 0.5], [-0.5, 0.9]], dtype)}

    def initial_state(self, batch_shape=(), dtype=jnp.float64):
        return cells.HiddenState(jnp.ones((*batch_shape, 2), dtype))

    def step(self, params, x, state):
        h = jnp.tanh(state.h @ params["w"])
        return cells.HiddenState(h), h


@pytest.mark.parametrize("strategy", ["autodiff", "hoisted", "rematerialised"])
def test_a_cell_that_reads_no_input(strategy):
    cell, h, want = Blind(), np.ones(2), []
    params = cell.init(None, 1)
    for _ in range(5):
        h = np.tanh(h @ params["w"])
        want.append(h)
    _, ys = unroll(cell, params, jnp.zeros((5, 1)), strategy=strategy)
    np.testing.assert_allclose(ys, want, rtol=1e-12)
