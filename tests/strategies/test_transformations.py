"""Forward mode, `vmap` and checkpoints of each strategy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.unroll import unroll
from tests import quick
from tests.strategies.samples import (
    FLAGS,
    STRATEGIES,
    H,
    assert_close,
    compiled,
    draw,
    draw_arguments,
    weigh,
)


@pytest.mark.parametrize("strategy_name", ["autodiff", "rematerialised", "truncated"])
def test_forward_mode_agrees_with_reverse_mode(strategy_name):
    cell = cells.by_name("lstm", H)
    args = draw_arguments(cell)
    direction = draw(args, 9)

    def loss(*args):
        return weigh(
            unroll(cell, *args, **FLAGS["lengths and resets"], strategy=STRATEGIES[strategy_name])
        )

    _, slope = quick.jit(lambda a, d: jax.jvp(loss, a, d))(args, direction)
    gradients = quick.jit(jax.grad(loss, argnums=(0, 1, 2)))(*args)
    want = sum(map(jnp.vdot, jax.tree.leaves(gradients), jax.tree.leaves(direction)))
    np.testing.assert_allclose(slope, want, rtol=1e-11)


def test_hoisted_refuses_forward_mode():
    cell = cells.by_name("tanh", H)
    args = draw_arguments(cell)
    with pytest.raises(TypeError, match="can't apply forward-mode"):
        jax.jvp(lambda *a: unroll(cell, *a, strategy="hoisted"), args, args)


@pytest.mark.parametrize("strategy_name", ["autodiff", "hoisted", "rematerialised"])
def test_vmap_and_checkpoint_change_nothing(strategy_name):
    cell = cells.by_name("gru_reset_before", H)
    each = [draw_arguments(cell, seed) for seed in (0, 10)]
    run = compiled(cell, STRATEGIES[strategy_name])
    want = jax.tree.map(
        lambda *a: jnp.stack(a), *(run(*args, FLAGS["lengths and resets"]) for args in each)
    )

    def loss(params, xs, state):
        unrolled = jax.checkpoint(
            lambda *args: unroll(
                cell, *args, **FLAGS["lengths and resets"], strategy=STRATEGIES[strategy_name]
            )
        )
        result = unrolled(params, xs, state)
        return weigh(result), result

    gradient = jax.vmap(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *each)
    (_, values), gradients = quick.jit(gradient)(*stacked)
    assert_close((values, gradients), want)
