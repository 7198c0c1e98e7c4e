"""`strategy="auto"`: the table is whole, the nearest entry counts, and any choice is right."""

from __future__ import annotations

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.strategies import auto as strategy
from rnnlab.strategies import automatic
from rnnlab.strategies.auto import Entry, entries_of, nearest, read, table
from rnnlab.unroll import unroll
from tests import quick

auto = importlib.import_module("rnnlab.strategies.auto")  # the name in the package is the function


def test_every_entry_of_the_table_names_strategies_that_exist():
    entries = table()
    assert entries and len({entry[:5] for entry in entries}) == len(entries)
    assert {name for entry in entries for name in (entry.forward, entry.gradient)} <= set(
        automatic()
    )


def test_the_nearest_entry_of_the_backend_and_dtype_counts():
    lines = [
        "# a comment",
        "backend\tdtype\tgates\trows\thidden\tforward\tgradient",
        "cpu\tfloat32\t1\t1\t32\tautodiff\thoisted",
        "cpu\tfloat32\t1\t128\t32\tautodiff\tautodiff",
        "gpu\tfloat32\t1\t128\t32\thoisted\thoisted",
        "gpu\tbfloat16\t1\t128\t32\tstepwise\thoisted",
    ]
    entries = read(lines)
    assert entries[0] == Entry("cpu", "float32", 1, 1, 32, "autodiff", "hoisted")
    on_cpu = entries_of(entries, "cpu", "float32")
    assert on_cpu == entries[:2] == entries_of(entries, "cpu", "bfloat16")  # not measured there
    assert nearest(on_cpu, 1, 8, 64) == entries[0]  # 8 is nearer to 1 than to 128
    assert nearest(on_cpu, 2, 16, 512) == entries[1]
    assert entries_of(entries, "gpu", "bfloat16") == entries[3:]
    assert nearest(entries_of(entries, "tpu", "float32"), 1, 1, 32) is None


@pytest.mark.parametrize("forward", ["autodiff", "hoisted", "stepwise"])
@pytest.mark.parametrize("gradient", ["autodiff", "hoisted", "stepwise"])
def test_whatever_the_table_says_the_results_are_the_same(forward, gradient, monkeypatch):
    monkeypatch.setattr(
        auto,
        "table",
        lambda: (Entry(jax.default_backend(), "float32", 4, 2, 3, forward, gradient),),
    )
    cell = cells.LSTM(3)
    params = cell.init(jax.random.key(0), 2, jnp.float64)
    xs = jax.random.normal(jax.random.key(1), (5, 2, 2), jnp.float64)
    lengths = np.array([5, 3])

    def results(params, xs, strategy):
        def loss(params, xs):
            _, ys = unroll(cell, params, xs, lengths=lengths, strategy=strategy)
            return jnp.square(ys).sum()

        ys = unroll(cell, params, xs, lengths=lengths, strategy=strategy)
        return ys, jax.grad(loss, (0, 1))(params, xs)

    run = quick.jit(results, static_argnums=2)
    want = run(params, xs, "autodiff")
    got = run(params, xs, strategy)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), got, want)


def test_a_backend_without_entries_takes_plain_autodiff(monkeypatch):
    monkeypatch.setattr(auto, "table", lambda: ())
    cell = cells.LSTM(3)
    params = cell.init(jax.random.key(0), 2)
    xs = jnp.ones((4, 2, 2), jnp.float32)
    slope = jax.jvp(lambda xs: unroll(cell, params, xs, strategy="auto")[1].sum(), (xs,), (xs,))
    assert np.isfinite(slope).all()  # forward mode, which no other choice has


def test_cudnn_is_passed_over_where_it_refuses(monkeypatch):
    monkeypatch.setattr(
        auto, "table", lambda: (Entry(jax.default_backend(), "float32", 4, 2, 3, "cudnn", "cudnn"),)
    )
    cell = cells.LSTM(3)
    params = cell.init(jax.random.key(0), 2)
    resets = jnp.zeros((4, 2), bool)
    _, ys = unroll(cell, params, jnp.ones((4, 2, 2), jnp.float32), resets=resets, strategy="auto")
    assert ys.shape == (4, 2, 3)
