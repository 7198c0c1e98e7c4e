"""Every cell by every strategy: values of the NumPy equations, gradients of autodiff."""

from __future__ import annotations

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.strategies import autodiff, stepwise
from rnnlab.strategies.control import Control
from rnnlab.unroll import unroll
from tests import quick
from tests.cells import reference
from tests.strategies.samples import (
    BY_KIND,
    FLAGS,
    KINDS,
    PRECISIONS,
    STRATEGIES,
    D,
    H,
    arguments,
    assert_close,
    assert_near_float64,
    compiled,
    draw,
    draw_arguments,
    evaluate,
    reference_run,
    weigh,
)


@pytest.mark.parametrize("name", cells.CELLS)
def test_autodiff_agrees_with_the_equations(name):
    layer, args = arguments(name)
    for case, flags in FLAGS.items():
        values, _ = evaluate(name, "autodiff")[case]
        assert_close(values, reference_run(layer, *args, **flags))


@pytest.mark.parametrize("name", [n for n in cells.CELLS if n != "relu"])  # relu has corners
def test_gradient_agrees_with_finite_differences_of_the_equations(name):
    layer, args = arguments(name)
    direction = draw(args, 7)
    step = 1e-5

    def loss(sign):
        moved = jax.tree.map(lambda a, d: np.asarray(a + sign * step * d), args, direction)
        return weigh(reference_run(layer, *moved, **FLAGS["lengths and resets"]))

    _, gradients = evaluate(name, "autodiff")["lengths and resets"]
    slope = sum(map(np.vdot, jax.tree.leaves(gradients), jax.tree.leaves(direction)))
    np.testing.assert_allclose(slope, (loss(1) - loss(-1)) / (2 * step), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", cells.CELLS)
def test_hoisted_has_the_values_and_gradients_of_autodiff(name):
    assert_like_autodiff(name, "hoisted")


@pytest.mark.parametrize("name", BY_KIND)
def test_rematerialised_has_the_values_and_gradients_of_autodiff(name):
    assert_like_autodiff(name, "rematerialised")


@pytest.mark.parametrize(
    "name",
    [
        name if name == "gru_reset_before" else pytest.param(name, marks=pytest.mark.slow)
        for name in cells.CELLS
    ],
)
def test_stepwise_has_the_values_and_gradients_of_autodiff(name):
    assert_like_autodiff(name, "stepwise")


@pytest.mark.parametrize(("name", "products"), [("lstm", 2), ("gru", 2), ("gru_reset_before", 3)])
def test_stepwise_joins_the_products_of_one_vector(name, products):
    """One with the input, one with each vector made of the state, and none before the scan."""
    cell = cells.by_name(name, H)
    jaxpr = jax.make_jaxpr(partial(stepwise, cell, control=Control()))(*draw_arguments(cell)).jaxpr
    scan = next(eqn for eqn in jaxpr.eqns if eqn.primitive.name == "scan")
    inside = [eqn.primitive.name for eqn in scan.params["jaxpr"].eqns]
    assert inside.count("dot_general") == products
    assert all(eqn.primitive.name != "dot_general" for eqn in jaxpr.eqns)


@pytest.mark.parametrize("name", KINDS)
def test_a_truncation_that_cuts_nothing_has_them_too(name):
    assert_like_autodiff(name, "truncated")


def assert_like_autodiff(name, strategy_name):
    for case in FLAGS:
        want = evaluate(name, "autodiff")[case]
        assert_close(evaluate(name, strategy_name)[case], want)


@pytest.mark.parametrize("strategy_name", [s for s in STRATEGIES if s != "autodiff"])
@pytest.mark.parametrize("name", KINDS)
def test_a_plain_call_without_flags_agrees_as_well(name, strategy_name):
    cell = cells.by_name(name, H)
    args = draw_arguments(cell)
    want = plain_autodiff(name)
    assert_close(compiled(cell, STRATEGIES[strategy_name])(*args, {}), want)


@cache
def plain_autodiff(name):
    cell = cells.by_name(name, H)
    args = draw_arguments(cell)
    result = jax.device_get(compiled(cell, autodiff)(*args, {}))
    assert_close(result[0], reference.run(cell, *args))
    return result


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("strategy_name", ["autodiff", "hoisted", "rematerialised"])
@pytest.mark.parametrize("name", BY_KIND)
def test_lower_precision_keeps_its_dtype_and_stays_near_float64(
    name, strategy_name, dtype, tolerance
):
    assert_near_float64(name, strategy_name, dtype, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("strategy_name", ["auto", "truncated"])
@pytest.mark.parametrize("name", cells.CELLS)
def test_other_strategies_run_every_cell_in_every_precision(name, strategy_name):
    assert_like_autodiff(name, strategy_name)
    for dtype, tolerance in PRECISIONS:
        assert_near_float64(name, strategy_name, dtype, tolerance)


def test_hoisted_sums_16_bit_floats_in_float32():
    cell, steps = cells.Elman(H), 512  # bfloat16 alone stops to grow at 256 times a term
    params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), D, jnp.bfloat16))
    xs = jnp.ones((steps, 1, D), jnp.bfloat16)

    def total(params):
        return unroll(cell, params, xs, strategy="hoisted")[1].sum(dtype=jnp.float32)

    gradient = quick.jit(jax.grad(total))(params)
    np.testing.assert_array_equal(gradient["b"], np.full(H, steps, gradient["b"].dtype))


@dataclasses.dataclass(frozen=True)
class OwnStep(cells.Elman):
    def step(self, params, x, state):
        h = jnp.tanh(x @ params["wx"] + state.h @ params["wh"] + params["b"])
        return cells.HiddenState(h), h


@pytest.mark.parametrize("strategy_name", ["hoisted", "rematerialised"])
def test_a_cell_that_overrides_its_step_runs_in_every_strategy(strategy_name):
    args = draw_arguments(OwnStep(H))
    want = compiled(cells.Elman(H), autodiff)(*args, {})
    assert_close(compiled(OwnStep(H), STRATEGIES[strategy_name])(*args, {}), want)
