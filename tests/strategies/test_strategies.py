"""Every cell by every strategy: values of the NumPy equations, gradients of autodiff and more."""

from __future__ import annotations

import dataclasses
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import Bidirectional, Stack, stack
from rnnlab.errors import UsageError
from rnnlab.strategies import (
    Rematerialised,
    Split,
    Truncated,
    auto,
    autodiff,
    hoisted,
    split,
    stepwise,
)
from rnnlab.strategies.control import Control
from rnnlab.strategies.rematerialised import time_block_near_root
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


#: Floating types of less precision, and how far results may be from float64.
PRECISIONS = [(jnp.float32, 2e-5), (jnp.bfloat16, 0.15)]


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


def test_hoisted_sums_16_bit_floats_in_float32():
    cell, steps = cells.Elman(H), 512  # bfloat16 alone stops to grow at 256 times a term
    params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), D, jnp.bfloat16))
    xs = jnp.ones((steps, 1, D), jnp.bfloat16)

    def total(params):
        return unroll(cell, params, xs, strategy="hoisted")[1].sum(dtype=jnp.float32)

    gradient = quick.jit(jax.grad(total))(params)
    np.testing.assert_array_equal(gradient["b"], np.full(H, steps, gradient["b"].dtype))


@pytest.mark.parametrize(
    "steps",
    [pytest.param(1, marks=pytest.mark.slow), 2, 4],  # 4 leaves a rest
)
def test_truncated_gradient_is_that_of_a_loop_that_stops_it(steps):
    cell = cells.by_name("lstm", H)
    params, xs, state = draw_arguments(cell)

    def loop(params, xs, state):
        ys = []
        for t in range(T):
            if t % steps == 0 and t > 0:
                state = jax.lax.stop_gradient(state)
            state, y = cell.step(params, xs[t], state)
            ys.append(y)
        result = (state, jnp.stack(ys))
        return weigh(result), result

    gradient = quick.jit(jax.grad(loop, argnums=(0, 1, 2), has_aux=True))
    want, values = gradient(params, xs, state)
    for inner in (autodiff, hoisted):
        got = compiled(cell, Truncated(steps, inner))(params, xs, state, {})
        assert_close(got, (values, want))


def test_truncated_gradient_is_zero_beyond_its_window():
    cell = cells.by_name("gru", H)
    params, xs, state = draw_arguments(cell)

    def last(xs, state):
        return unroll(cell, params, xs, state, strategy=Truncated(4))[1][-1].sum()

    d_xs, d_state = quick.jit(jax.grad(last, argnums=(0, 1)))(xs, state)
    assert not d_xs[:4].any() and d_xs[4:].all() and not d_state.h.any()


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


def gradient_function(cell, strategy):
    """The gradient of the sum of the last state, for `params` and `xs`."""

    def loss(params, xs):
        state, _ = unroll(cell, params, xs, strategy=strategy)
        return sum(part.sum() for part in jax.tree.leaves(state))

    return jax.grad(loss)


def count_equations(jaxpr):
    """Equations at any depth."""
    inner = jax.tree.leaves([list(eqn.params.values()) for eqn in jaxpr.eqns])
    return len(jaxpr.eqns) + sum(count_equations(part) for part in inner if hasattr(part, "eqns"))


@pytest.mark.parametrize("strategy_name", [*STRATEGIES, "stacked"])
def test_the_program_does_not_grow_with_the_sequence(strategy_name):
    cell = stack(cells.LSTM, (4, 4)) if strategy_name == "stacked" else cells.LSTM(4)
    strategy = STRATEGIES.get(strategy_name, hoisted)
    if isinstance(strategy, Rematerialised):
        strategy = Rematerialised(8, strategy.inner)  # no rest for either length

    def size(steps):
        jaxpr = jax.make_jaxpr(gradient_function(cell, strategy))(*shapes(cell, steps, 2))
        return count_equations(jaxpr)

    assert size(320) == size(32)


def temporaries(cell, strategy, steps, **sizes):
    """Bytes that the compiled gradient needs beside its arguments and results."""
    lowered = jax.jit(gradient_function(cell, strategy)).lower(*shapes(cell, steps, 1, **sizes))
    memory = lowered.compile().memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_memory_of_rematerialised_grows_as_the_root_of_the_length():
    cell = cells.Elman(256)
    plain, frugal = (
        [temporaries(cell, strategy, steps) for steps in (4096, 65536)]
        for strategy in (autodiff, STRATEGIES["rematerialised"])
    )
    assert plain[1] / plain[0] == pytest.approx(16, rel=0.1)
    assert frugal[1] / frugal[0] == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("cell", [cells.Elman(128), cells.LSTM(128)])
def test_a_gradient_over_100_000_steps_fits_200_mib(cell):
    size = temporaries(cell, "rematerialised", 100_000, features=128)
    inputs = 100_000 * 128 * 4
    assert size + inputs < 200 * 2**20


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 36, 37, 100_000])
def test_time_blocks_lie_near_the_root(steps):
    size = time_block_near_root(steps)
    assert np.sqrt(steps) <= size <= max(1, 2 * np.sqrt(steps) + 1)
    assert steps in (3, 37) or steps % size == 0


@pytest.mark.parametrize("strategy", [Rematerialised, Truncated])
@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_sizes_that_are_no_positive_integers_are_refused(strategy, size):
    with pytest.raises(UsageError, match="must be a positive integer"):
        strategy(size)


def test_names_and_functions_stand_for_inner_strategies():
    assert Truncated(5, "hoisted") == Truncated(5, hoisted)
    assert Rematerialised(inner="hoisted") == Rematerialised(inner=hoisted)
    assert Split("autodiff") == Split(autodiff)
    assert Truncated(5, lambda *call: autodiff(*call)).refuses(cells.LSTM(H)) is None
    with pytest.raises(UsageError, match=r"^inner='hoist': unknown, choose one of autodiff, ho"):
        Truncated(5, "hoist")
    with pytest.raises(UsageError, match=r"^inner=3: must be a strategy, or a function like one"):
        Split(3)


def test_sizes_of_numpy_are_integers():
    assert Truncated(np.int64(5)) == Truncated(5) and type(Truncated(np.int32(5)).steps) is int
    assert type(Rematerialised(np.int64(3)).time_block) is int
    with pytest.raises(UsageError, match=r"^steps=2147483648: must be at most 2147483647"):
        Truncated(2**31)
