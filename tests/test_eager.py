"""Calls outside of `jax.jit`: compiled once, kept within bounds, the same numbers everywhere."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells, eager
from rnnlab.strategies import BaseStrategy, Truncated, autodiff
from rnnlab.unroll import unroll

T, B, D, H = 4, 2, 3, 5


@dataclasses.dataclass(frozen=True)
class Counted(cells.Elman):
    """A cell that counts how often its step is traced."""

    def step(self, params, x, state):
        TRACES.append(self)
        return super().step(params, x, state)


TRACES: list[Any] = []


@pytest.fixture(autouse=True)
def clean():
    TRACES.clear()
    eager._program.cache_clear()


def case(cell, steps=T, seed=0):
    params = cell.init(jax.random.key(0), D)
    return params, jax.random.normal(jax.random.key(seed), (steps, B, D), jnp.float32)


def assert_same(got, want):
    jax.tree.map(np.testing.assert_array_equal, got, want)


def test_equal_calls_trace_and_compile_once():
    first = None
    for seed in range(3):
        params, xs = case(Counted(H), seed=seed)
        state, ys = unroll(Counted(H), params, xs, strategy="hoisted", reverse=True)
        first = len(TRACES) if first is None else first
        assert state.h.shape == (B, H) and ys.shape == (T, B, H)
    assert first and len(TRACES) == first
    assert eager._program.cache_info().currsize == 1


def test_a_gradient_outside_of_jit_traces_once():
    params, xs = case(Counted(H))

    def loss(params):
        return unroll(Counted(H), params, xs, strategy="hoisted")[1].sum()

    jax.grad(loss)(params)
    before = len(TRACES)
    jax.grad(loss)(params)
    assert before and len(TRACES) == before


def test_it_is_what_jit_computes_bit_by_bit():
    params, xs = case(Counted(H))
    lengths, resets = np.array([2, 4]), np.arange(T * B).reshape(T, B) % 3 == 1
    run = partial(unroll, Counted(H), lengths=lengths, resets=resets)
    assert_same(run(params, xs), jax.jit(run)(params, xs))
    _, ys = jax.vmap(lambda xs: run(params, xs))(jnp.stack([xs, 2 * xs]))
    np.testing.assert_allclose(ys[0], run(params, xs)[1], rtol=1e-6, atol=1e-6)


def test_inside_of_jit_nothing_is_kept():
    params, xs = case(Counted(H))
    inside = jax.jit(lambda params, xs: unroll(Counted(H), params, xs)[1])
    inside(params, xs)
    constant = jax.jit(lambda scale: scale * unroll(Counted(H), params, xs)[1])
    constant(jnp.float32(2))
    gradient = jax.jit(lambda _: jax.grad(lambda p: unroll(Counted(H), p, xs)[1].sum())(params))
    gradient(jnp.float32(2))
    assert eager._program.cache_info().currsize == 0
    assert "pjit" not in str(
        jax.make_jaxpr(lambda p: unroll(cells.LSTM(H), p, xs)[1])(
            cells.LSTM(H).init(jax.random.key(0), D)
        )
    )


def test_the_oldest_program_is_dropped(monkeypatch):
    for steps in range(1, 4):
        unroll(Counted(H), *case(Counted(H), steps))
    assert eager._program.cache_info().currsize == 3
    assert eager._program.cache_info().maxsize == eager.PROGRAMS


class Plain:
    """A cell that may change while it stays equal to itself."""

    def __init__(self, scale):
        self.scale, self.inside = scale, cells.Elman(H)
        self.init, self.initial_state = self.inside.init, self.inside.initial_state

    def step(self, params, x, state):
        return self.inside.step(params, self.scale * x, state)


@dataclasses.dataclass(frozen=True)
class Listed(cells.Elman):
    scales: list[float] = dataclasses.field(default_factory=lambda: [1.0])

    def step(self, params, x, state):
        return super().step(params, self.scales[0] * x, state)


@dataclasses.dataclass(frozen=True)
class Around(BaseStrategy):
    inner: Any

    def __call__(self, cell, params, xs, state, control):
        return autodiff(cell, params, 2 * xs, state, control)


def test_what_is_no_value_is_called_as_it_is():
    params, xs = case(cells.Elman(H))
    want = [unroll(cells.Elman(H), params, scale * xs)[1] for scale in (1, 2)]
    kept = eager._program.cache_info().currsize
    changing, listed = Plain(1.0), Listed(H)
    for cell in (changing, listed):
        np.testing.assert_allclose(unroll(cell, params, xs)[1], want[0], rtol=1e-6)
    changing.scale = listed.scales[0] = 2.0
    for cell in (changing, listed):
        np.testing.assert_allclose(unroll(cell, params, xs)[1], want[1], rtol=1e-6)
    twice = Around(inner=object())
    np.testing.assert_allclose(
        unroll(cells.Elman(H), params, xs, strategy=twice)[1], want[1], rtol=1e-6
    )
    own = []

    def function(cell, params, xs, state, control):
        own.append(xs)
        return autodiff(cell, params, xs, state, control)

    for _ in range(2):
        unroll(cells.Elman(H), params, xs, strategy=function)
    assert len(own) == 2 and not isinstance(own[0], jax.core.Tracer)
    assert eager._program.cache_info().currsize == kept


@pytest.mark.parametrize(
    ("thing", "good"),
    [
        (cells.LSTM(4), True),
        ((cells.by_name("gru", 4, wh_init=jax.nn.initializers.orthogonal()), "a", None), True),
        (Truncated(3, "hoisted"), True),
        (partial(max, 3), True),
        (partial(jnp.where, jax.nn.relu, jax.nn.sigmoid), True),
        (Listed(4), False),
        (Plain(1.0), False),
        (Around(Plain(1.0)), False),
        ([1], False),
    ],
)
def test_values_are_told_from_what_may_change(thing, good):
    assert eager.is_value(thing) is good


@pytest.mark.slow
def test_memory_does_not_grow_with_repeated_calls():
    import resource

    params, xs = case(cells.LSTM(H))

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _ in range(3):
        unroll(cells.LSTM(H), params, xs)
    before = peak()
    for _ in range(200):
        unroll(cells.LSTM(H), params, xs)
    assert peak() - before < 20_000  # KiB; 200 programs took 400 MiB
