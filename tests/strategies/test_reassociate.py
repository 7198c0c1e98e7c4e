"""Cells written in other ways than the library's: the same numbers, and as little in the loop."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.cells import CarouselState
from rnnlab.strategies.hoisted.reassociate import Reassociated
from rnnlab.strategies.hoisted.step_columns import StepColumns
from rnnlab.tracing import TracedStep
from rnnlab.unroll import unroll

T, B, D, H = 7, 3, 4, 5


@dataclasses.dataclass(frozen=True)
class WideLSTM(cells.LSTM):
    """The LSTM as most people write it: one product for all gates, the bias last."""

    def step(self, params, x, state):
        z = x @ params["wx"] + state.h @ params["wh"] + params["b"]
        return self.rest(self.cut(z), state)

    def cut(self, z):
        return jnp.split(z, 4, axis=-1)

    def rest(self, gates, state):
        i, f, g, o = gates
        c = jax.nn.sigmoid(f) * state.c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return CarouselState(h=h, c=c), h


@dataclasses.dataclass(frozen=True)
class SlicedLSTM(WideLSTM):
    """The same with slices."""

    def cut(self, z):
        return [z[..., k * self.hidden : (k + 1) * self.hidden] for k in range(4)]


@dataclasses.dataclass(frozen=True)
class ConcatenatedLSTM(WideLSTM):
    """The same with the input and the state as one vector."""

    def step(self, params, x, state):
        w = jnp.concatenate([params["wx"], params["wh"]])
        z = jnp.concatenate([x, state.h], axis=-1) @ w + params["b"]
        return self.rest(self.cut(z), state)


@dataclasses.dataclass(frozen=True)
class ReadTwice(cells.Elman):
    """A sum that is read twice, and one of its terms besides."""

    def step(self, params, x, state):
        v = state.h @ params["wh"]
        z = x @ params["wx"] + v + params["b"]
        h = jnp.tanh(z) * jax.nn.sigmoid(z) + 0.1 * v
        return cells.HiddenState(h), h


WAYS = [WideLSTM(H), SlicedLSTM(H), ConcatenatedLSTM(H), ReadTwice(H)]


def arguments(cell):
    keys = jax.random.split(jax.random.key(0), 3)
    params = cell.init(keys[0], D, jnp.float64)
    params["b"] = jax.random.normal(keys[2], params["b"].shape, jnp.float64)
    return params, jax.random.normal(keys[1], (T, B, D), jnp.float64)


def results(cell, strategy):
    def loss(params, xs):
        state, ys = unroll(cell, params, xs, strategy=strategy)
        return sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves((state, ys))), ys

    return jax.value_and_grad(loss, (0, 1), has_aux=True)(*arguments(cell))


@pytest.mark.parametrize("cell", WAYS, ids=lambda cell: type(cell).__name__)
def test_values_and_gradients_are_those_of_autodiff(cell):
    got, want = results(cell, "hoisted"), results(cell, "autodiff")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), got, want)


@pytest.mark.parametrize("cell", WAYS[:3], ids=lambda cell: type(cell).__name__)
def test_an_lstm_is_an_lstm_however_it_is_written(cell):
    got, want = results(cell, "hoisted"), results(cells.LSTM(H), "hoisted")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), got, want)


def columns_of(cell):
    params, xs = arguments(cell)
    state = cell.initial_state((B,), jnp.float64)
    return StepColumns(cell, params, {}, xs, state)


@pytest.mark.parametrize("cell", WAYS[:2], ids=lambda cell: type(cell).__name__)
def test_the_bias_leaves_the_loop_and_each_gate_keeps_one_sum(cell):
    own, library = columns_of(cell), columns_of(cells.LSTM(H))
    for columns in (own, library):
        assert len(columns.sums) == 4 and columns.kept == []  # x @ wx + b + h @ wh of each gate
        assert columns.step.constants == []
        assert [product.rows for product in columns.step.products] == [[H] * 4]


def test_what_is_read_more_than_once_is_computed_once():
    cell = ReadTwice(H)
    params, xs = arguments(cell)
    state = cell.initial_state((), jnp.float64)
    traced = TracedStep(Reassociated(cell), params, xs[0, 0], state)
    assert len(traced.inner) == len(traced.outer) == 1


@pytest.mark.parametrize(
    "name", ["lstm", "lstm_peephole", "lstm_cell_norm", "lstm_fgr", "gru", "mgu", "mut1", "minimal"]
)
def test_the_cells_of_the_library_keep_their_order_to_the_bit(name):
    cell = cells.by_name(name, H)
    params, xs = arguments(cell)
    state = jax.tree.map(lambda a: 0.3 + a, cell.initial_state((), jnp.float64))
    got, want = (each.step(params, xs[0, 0], state) for each in (Reassociated(cell), cell))
    jax.tree.map(np.testing.assert_array_equal, got, want)
