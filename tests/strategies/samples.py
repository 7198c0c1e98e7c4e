"""What tests of strategies run on: cells in an arrangement, flags, and the gradients of a loss."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import Bidirectional, Stack
from rnnlab.strategies import (
    Rematerialised,
    Truncated,
    auto,
    autodiff,
    hoisted,
    split,
    stepwise,
)
from rnnlab.unroll import unroll
from tests import quick
from tests.cells import reference

T, B, D, H = 6, 3, 4, 5

STRATEGIES = {
    "autodiff": autodiff,
    "hoisted": hoisted,
    "rematerialised": Rematerialised(),
    "truncated": Truncated(T),
    "rematerialised-hoisted": Rematerialised(time_block=4, inner=hoisted),
}
#: Those that choose among them, that run one on several devices, and that join products.
ALL = STRATEGIES | {"auto": auto, "split": split, "stepwise": stepwise}
#: One cell of each kind, for what does not depend on its equations.
KINDS = ["tanh", "additive", "lstm_fgr", "gru_reset_before", "minimal"]
#: All cells; those that repeat a kind are slow tests.
BY_KIND = [
    name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in cells.CELLS
]
LENGTHS = np.array([6, 0, 4])
RESETS = np.random.default_rng(5).random((T, B)) < 0.4
FULL, NEVER = np.full(B, T), np.zeros((T, B), bool)
FLAGS: dict[str, dict[str, np.ndarray]] = {  # all share one program of a cell and strategy
    "plain": {"lengths": FULL, "resets": NEVER},
    "lengths": {"lengths": LENGTHS, "resets": NEVER},
    "resets": {"lengths": FULL, "resets": RESETS},
    "lengths and resets": {"lengths": LENGTHS, "resets": RESETS},
}

#: Floating types of less precision, and how far results may be from float64.
PRECISIONS = [(jnp.float32, 2e-5), (jnp.bfloat16, 0.15)]


def draw(tree, seed):
    """Normal numbers in the shapes and dtypes of `tree`."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), a.dtype), tree)


def arrange(cell):
    """One arrangement that reads forwards, backwards, in both directions and in a stack."""
    return Stack((Bidirectional(cell, cell), cell))


def reference_run(layer, params, xs, state, reverse: Any = False, **flags):
    """`reference.run` for the arrangements."""
    if isinstance(layer, Stack):
        finals = []
        for each, p, s in zip(layer.layers, params, state, strict=True):
            final, xs = reference_run(each, p, xs, s, reverse, **flags)
            finals.append(final)
        return tuple(finals), xs
    if isinstance(layer, Bidirectional):
        ahead, ys = reference.run(
            layer.forward, params["forward"], xs, state.forward, **flags, reverse=reverse
        )
        back, zs = reference.run(
            layer.backward, params["backward"], xs, state.backward, **flags, reverse=not reverse
        )
        return type(state)(ahead, back), np.concatenate([ys, zs], axis=-1)
    return reference.run(layer, params, xs, state, **flags, reverse=reverse)


def shapes(cell, steps, batch, features=1, dtype=jnp.float32):
    """Parameters and inputs without their numbers."""
    params = jax.eval_shape(lambda key: cell.init(key, features, dtype), jax.random.key(0))
    return params, jax.ShapeDtypeStruct((steps, batch, features), dtype)


def draw_arguments(layer, seed=0):
    """Parameters, inputs and a state, in float64, none of which is zero."""
    params, xs = shapes(layer, T, B, D, jnp.float64)
    params = jax.tree.map(lambda n: 0.4 * n, draw(params, seed))
    state = layer.initial_state((B,), jnp.float64)
    state = jax.tree.map(lambda n: 0.5 * n, draw(state, seed + 1))
    return params, draw(xs, seed + 2), state


@cache
def arguments(name):
    """The arrangement of a cell and its arguments."""
    layer = arrange(cells.by_name(name, H))
    return layer, draw_arguments(layer)


def weigh(result, seed=3):
    """A loss that depends on every output and on every part of the final state."""
    weights = draw(result, seed)
    return sum((a * w).sum() for a, w in zip(*map(jax.tree.leaves, (result, weights)), strict=True))


def compiled(layer, strategy):
    """`(params, xs, state, flags)` to the results and the gradients of `weigh`."""

    def loss(params, xs, state, flags):
        result = unroll(layer, params, xs, state, strategy=strategy, **flags)
        return weigh(result), result

    def results(*args):
        (_, result), gradients = jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)(*args)
        return result, gradients

    return quick.jit(results)


@cache
def evaluate(name, strategy_name):
    """Results and gradients of one cell by one strategy under all flags."""
    layer, args = arguments(name)
    run = compiled(layer, ALL[strategy_name])
    return {case: jax.device_get(run(*args, flags)) for case, flags in FLAGS.items()}


def assert_close(got, want, tolerance=1e-11):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), got, want)


def assert_near_float64(name, strategy_name, dtype, tolerance):
    cell = cells.by_name(name, H)
    args = draw_arguments(cell)
    low = jax.tree.map(lambda a: a.astype(dtype), args)
    got = compiled(cell, ALL[strategy_name])(*low, FLAGS["lengths and resets"])
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {jnp.dtype(dtype)}
    rounded = jax.tree.map(lambda a: a.astype(jnp.float64), low)
    want = reference.run(cell, *rounded, **FLAGS["lengths and resets"])
    assert_close(jax.tree.map(lambda a: a.astype(jnp.float64), got[0]), want, tolerance)
    _, gradients = evaluate_float64(name)(*rounded, FLAGS["lengths and resets"])
    got = jax.tree.map(lambda a: a.astype(jnp.float64), got[1])
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(gradients), strict=True):
        assert np.linalg.norm(a - b) <= tolerance * (1 + np.linalg.norm(b))


@cache
def evaluate_float64(name):
    return compiled(cells.by_name(name, H), autodiff)
