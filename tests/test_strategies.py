"""Every cell by every strategy: values of the NumPy equations, gradients of autodiff and more."""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import Bidirectional, Stack, stack
from rnnlab.errors import UsageError
from rnnlab.strategies import Rematerialised, Truncated, autodiff, hoisted
from rnnlab.unroll import unroll
from tests import quick
from tests.cells import reference

T, B, D, H = 6, 3, 4, 5

STRATEGIES = {
    "autodiff": autodiff,
    "hoisted": hoisted,
    "rematerialised": Rematerialised(),
    "truncated": Truncated(T),
    "rematerialised-hoisted": Rematerialised(chunk=4, inner=hoisted),
}
#: One cell of each kind, for what does not depend on its equations.
KINDS = ["tanh", "additive", "lstm_peephole", "lstm_fgr", "gru", "gru_reset_before", "minimal"]
PARITY = [
    (name, strategy)
    for strategy in STRATEGIES
    for name in (KINDS if strategy == "rematerialised-hoisted" else cells.CELLS)
    if strategy != "autodiff"
]
LENGTHS = np.array([6, 0, 4])
RESETS = np.random.default_rng(5).random((T, B)) < 0.4
FULL, NEVER = np.full(B, T), np.zeros((T, B), bool)
FLAGS = {  # lengths and resets; all cases of a cell and strategy share one compiled program
    "plain": (FULL, NEVER),
    "lengths": (LENGTHS, NEVER),
    "resets": (FULL, RESETS),
    "lengths and resets": (LENGTHS, RESETS),
}


def draw(tree, seed, dtype=jnp.float64):
    """Normal numbers in the shapes of `tree`."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), dtype), tree)


def arrange(cell):
    """One arrangement that reads forwards, backwards, in both directions and in a stack."""
    return Stack((Bidirectional(cell, cell), cell))


def reference_run(layer, params, xs, state, lengths, resets, reverse=False):
    """`reference.run` for the arrangements."""
    flags = {"lengths": lengths, "resets": resets}
    if isinstance(layer, Stack):
        finals = []
        for each, p, s in zip(layer.layers, params, state, strict=True):
            final, xs = reference_run(each, p, xs, s, lengths, resets, reverse)
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


def draw_arguments(layer, seed=0, dtype=jnp.float64):
    """Parameters, inputs and a state none of which is zero."""
    shapes = jax.eval_shape(lambda key: layer.init(key, D, dtype), jax.random.key(0))
    params = jax.tree.map(lambda n: 0.4 * n, draw(shapes, seed, dtype))
    state = jax.tree.map(lambda n: 0.5 * n, draw(layer.initial_state((B,)), seed + 1, dtype))
    xs = draw(jax.ShapeDtypeStruct((T, B, D), dtype), seed + 2, dtype)
    return params, xs, state


@cache
def arguments(name):
    """The arrangement of a cell and its arguments."""
    layer = arrange(cells.by_name(name, H))
    return layer, draw_arguments(layer)


def weigh(result, seed=3):
    """A loss that depends on every output and on every part of the final state."""
    weights = draw(result, seed)
    return sum(
        (a * w).sum() for a, w in zip(*map(jax.tree.leaves, (result, weights)), strict=True)
    )


def compiled(layer, strategy):
    """`(params, xs, state, lengths, resets)` to the results and the gradients of `weigh`."""

    def loss(params, xs, state, lengths, resets):
        result = unroll(
            layer, params, xs, state, lengths=lengths, resets=resets, strategy=strategy
        )
        return weigh(result), result

    def results(*args):
        (_, result), gradients = jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)(*args)
        return result, gradients

    return quick.jit(results)


@cache
def evaluate(name, strategy_name):
    """Results and gradients of one cell by one strategy under all flags."""
    layer, args = arguments(name)
    run = compiled(layer, STRATEGIES[strategy_name])
    return {case: jax.device_get(run(*args, *flags)) for case, flags in FLAGS.items()}


def assert_close(got, want, tolerance=1e-11):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), got, want)


@pytest.mark.parametrize("name", cells.CELLS)
def test_autodiff_agrees_with_the_equations(name):
    layer, args = arguments(name)
    for case, flags in FLAGS.items():
        values, _ = evaluate(name, "autodiff")[case]
        assert_close(values, reference_run(layer, *args, *flags))


@pytest.mark.parametrize("name", [n for n in cells.CELLS if n != "relu"])  # relu has corners
def test_gradient_agrees_with_finite_differences_of_the_equations(name):
    layer, args = arguments(name)
    direction = draw(args, 7)
    step = 1e-5

    def loss(sign):
        moved = jax.tree.map(lambda a, d: np.asarray(a + sign * step * d), args, direction)
        return weigh(reference_run(layer, *moved, LENGTHS, RESETS))

    _, gradients = evaluate(name, "autodiff")["lengths and resets"]
    slope = sum(map(np.vdot, jax.tree.leaves(gradients), jax.tree.leaves(direction)))
    np.testing.assert_allclose(slope, (loss(1) - loss(-1)) / (2 * step), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "strategy_name"), PARITY)
def test_strategy_has_the_values_and_gradients_of_autodiff(name, strategy_name):
    for case in FLAGS:
        want = evaluate(name, "autodiff")[case]
        assert_close(evaluate(name, strategy_name)[case], want)
