"""Functions of one sequence on columns: against `jax.vmap`, and what is kept of their products."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.strategies.hoisted import time_block_size
from rnnlab.strategies.hoisted.columns import Columns
from rnnlab.strategies.hoisted.step_columns import StepColumns

N, H, D = 3, 4, 5


def functions():
    """Functions of parameters and of one vector, with operations of every kind."""
    return {
        "product": lambda p, x: x @ p["w"],
        "weight first": lambda p, x: p["w"].T @ x,
        "two of one vector": lambda p, x: jnp.tanh(x @ p["w"]) * (x @ (2 * p["w"])),
        "chain": lambda p, x: jax.nn.sigmoid(x @ p["w"]) @ p["v"],
        "constant": lambda p, x: jax.nn.relu(x * p["b"]) + 1 - p["b"],
        "over the units": lambda p, x: (x - x.mean()) * jax.lax.rsqrt(x.var() + 0.1),
        "rearranged": lambda p, x: jnp.concatenate([x[2:], x[:2]])[::-1].reshape(5, 1).sum(1),
        "of parameters alone": lambda p, x: p["b"],
        "control flow": lambda p, x: jax.lax.fori_loop(0, 3, lambda _, a: jnp.sin(a) * p["b"], x),
        "a product of two vectors": lambda p, x: jnp.exp(-(x @ x)) * x,
    }


@pytest.mark.parametrize("name", functions())
def test_columns_are_what_vmap_makes_of_rows(name):
    function = functions()[name]
    key = jax.random.split(jax.random.key(0), 4)
    params = {
        "w": jax.random.normal(key[0], (D, H), jnp.float64),
        "v": jax.random.normal(key[1], (H, H), jnp.float64),
        "b": jax.random.normal(key[2], (D,), jnp.float64),
    }
    rows = jax.random.normal(key[3], (N, D), jnp.float64)
    columns = Columns(function, params, rows[0])
    weights, constants = columns.fixed(params)
    (got,) = columns.evaluate(
        columns.outputs,
        constants,
        dict(zip(columns.inputs, [rows.T], strict=True)),
        lambda index, x: weights[index] @ x,
    )
    want = jnp.broadcast_to(jax.vmap(function, (None, 0))(params, rows), got.T.shape)
    np.testing.assert_allclose(got.T, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "products", "sums", "kept"),
    [  # by hand from the equations: rows of each product, sums kept, leaves of u kept beside them
        ("tanh", [H], 1, 0),
        ("lstm", [4 * H], 4, 0),
        ("gru", [3 * H], 3, 1),  # u_n is added to r * v_n, not to v_n
        ("gru_reset_before", [2 * H, H], 3, 0),
        ("minimal", [H], 1, 1),  # the embedding e
        ("lstm_fgr", [4 * H, 3 * H], 4, 0),
        ("additive", [], 0, 1),
    ],
)
def test_what_is_kept_of_a_step(name, products, sums, kept):
    cell = cells.by_name(name, H)
    params = cell.init(jax.random.key(0), D)
    xs, state = jnp.zeros((2, N, D)), cell.initial_state((N,))
    step = StepColumns(cell, params, {}, xs, state)
    assert [sum(product.rows) for product in step.step.products] == products
    assert (len(step.sums), len(step.kept)) == (sums, kept)


@pytest.mark.parametrize("batch", [0, 1, 32, 10_000])
@pytest.mark.parametrize("steps", [0, 1, 7, 100, 127, 1000, 1009, 100_000])
def test_blocks_cover_the_length_with_little_padding(steps, batch):
    size = time_block_size(steps, batch)
    count = -(-steps // size)
    assert 1 <= size <= 256
    assert count * size - steps < max(count, 1) or steps % size == 0
