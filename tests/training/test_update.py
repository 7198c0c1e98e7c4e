"""Optimisers, clipping and the training step, against NumPy in float64."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.training import optimisers
from rnnlab.training.optimisers import Clip, global_norm
from rnnlab.training.update import Learner, update, updates
from tests import quick

KEY = jax.random.key(0)


def quadratic(params, carry, batch, key):
    """½‖w − target‖², with noise that shows whether keys differ, and a carry that counts."""
    del key
    error = params["w"] - batch
    return 0.5 * jnp.sum(error**2), (carry + 1, {"distance": jnp.sqrt(jnp.sum(error**2))})


def learner(rate=0.1, **settings):
    return Learner(
        init=lambda key: {"w": jnp.asarray([3.0, -4.0], jnp.float32)},
        loss=quadratic,
        optimiser=optimisers.optimiser("sgd", rate),
        carry=lambda: jnp.zeros((), jnp.int32),
        **settings,
    )


# --- steps ---


def test_steps_follow_gradient_descent():
    one = learner()
    batches = jnp.asarray([[0.0, 0.0], [1.0, 1.0], [0.0, 2.0]], jnp.float32)
    state, metrics = quick.jit(lambda s: updates(one, 3, s, batches))(one.start(KEY))
    w = np.array([3.0, -4.0])
    for t, target in enumerate(np.asarray(batches, np.float64)):
        gradient = w - target
        assert metrics["loss"][t] == pytest.approx(0.5 * (gradient**2).sum(), rel=1e-6)
        assert metrics["gradient_norm"][t] == pytest.approx(np.linalg.norm(gradient), rel=1e-6)
        assert metrics["parameter_norm"][t] == pytest.approx(np.linalg.norm(w), rel=1e-6)
        assert metrics["update_norm"][t] == pytest.approx(0.1 * np.linalg.norm(gradient), rel=1e-6)
        w -= 0.1 * gradient
    np.testing.assert_allclose(state.params["w"], w, rtol=1e-6)
    assert int(state.step) == 3 and int(state.carry) == 3 and int(state.diverged) == 0
    assert metrics["distance"].shape == (3,)


def test_many_steps_are_single_steps():
    one = learner(sample=lambda key: jax.random.normal(key, (2,), jnp.float32))
    many, _ = quick.jit(lambda s: updates(one, 4, s))(one.start(KEY))
    state = one.start(KEY)
    single = quick.jit(lambda s: update(one, s))
    for _ in range(4):
        state, _ = single(state)
    np.testing.assert_array_equal(state.params["w"], many.params["w"])


def test_every_step_draws_afresh():
    one = learner(rate=0.0, sample=lambda key: jax.random.normal(key, (2,), jnp.float32))
    _, metrics = quick.jit(lambda s: updates(one, 20, s))(one.start(KEY))
    assert len(set(np.asarray(metrics["loss"]).tolist())) == 20


def test_what_is_not_finite_stops_the_updates_and_is_dated():
    batches = jnp.asarray([[0.0, 0.0], [math.nan, 0.0], [0.0, 0.0]], jnp.float32)
    one = learner()
    run = quick.jit(lambda s, b: updates(one, 3, s, b))
    state, _ = run(one.start(KEY), batches)
    assert int(state.diverged) == 2 and int(state.step) == 3 and int(state.carry) == 1
    np.testing.assert_allclose(state.params["w"], [2.7, -3.6], rtol=1e-6)


def test_no_gradient_flows_through_the_carry():
    """L_t = (w c_t)² with c_{t+1} = w c_t: truncated, the gradient is 2 w c_t² at every step."""

    def loss(params, carry, batch, key):
        del batch, key
        return (params * carry) ** 2, (params * carry, {})

    one = Learner(
        init=lambda key: jnp.asarray(0.5, jnp.float32),
        loss=loss,
        optimiser=optimisers.optimiser("sgd", 0.0),
        carry=lambda: jnp.asarray(2.0, jnp.float32),
    )
    _, metrics = quick.jit(lambda s: updates(one, 3, s))(one.start(KEY))
    carries = 2 * 0.5 ** np.arange(3)
    np.testing.assert_allclose(metrics["gradient_norm"], 2 * 0.5 * carries**2, rtol=1e-6)


# --- clipping ---

GRADIENT = {"a": jnp.asarray([3.0, -0.5], jnp.float32), "b": jnp.asarray([[4.0]], jnp.float32)}


@pytest.mark.parametrize(
    ("clip", "expected", "clipped"),
    [
        (Clip(), [3.0, -0.5, 4.0], False),
        (Clip(norm=10.0), [3.0, -0.5, 4.0], False),
        (Clip(norm=1.0), np.array([3.0, -0.5, 4.0]) / math.sqrt(25.25), True),
        (Clip(value=1.0), [1.0, -0.5, 1.0], True),
        (Clip(value=5.0), [3.0, -0.5, 4.0], False),
        (Clip(norm=1e300, value=1e300), [3.0, -0.5, 4.0], False),  # infinite in float32
        (Clip(norm=math.inf), [3.0, -0.5, 4.0], False),
        (Clip(norm=1.0, value=1.0), np.array([1.0, -0.5, 1.0]) / 1.5, True),
    ],
)
def test_clipping(clip, expected, clipped):
    result = clip(GRADIENT)
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(result.gradient)])
    np.testing.assert_allclose(flat, expected, rtol=1e-6)
    assert float(result.norm) == pytest.approx(math.sqrt(25.25))
    assert bool(result.clipped) == clipped


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e-9, 1e-3, 1.0, 1e18, 1e19, 1e30])
def test_norms_of_any_size(size):
    tree = {"a": jnp.full((3,), size, jnp.float32), "b": jnp.full((1,), 2 * size, jnp.float32)}
    assert float(global_norm(tree)) == pytest.approx(math.sqrt(7) * np.float32(size), rel=1e-6)


def test_norms_of_a_population():
    sizes = jnp.asarray([1e-30, 1.0, 1e30, math.inf], jnp.float32)
    norms = jax.vmap(lambda size: global_norm([jnp.full((4,), size)]))(sizes)
    np.testing.assert_allclose(norms[:3], 2 * sizes[:3], rtol=1e-6)
    assert not np.isfinite(norms[3])


def test_norms_of_zeros_and_of_what_is_not_finite():
    assert float(global_norm([jnp.zeros(3, jnp.float32)])) == 0
    for bad in (math.nan, math.inf):
        assert not np.isfinite(global_norm([jnp.asarray([1.0, bad], jnp.float32)]))


def test_a_gradient_whose_square_overflows_is_clipped_and_no_divergence():
    one = learner(rate=1.0, clip=Clip(norm=1.0))
    batch = jnp.asarray([3.0, -4.0], jnp.float32)

    def loss(params, carry, batch, key):
        return jnp.sum(params["w"] * jnp.asarray([3e20, 4e20], jnp.float32)), (carry, {})

    huge = Learner(one.init, loss, one.optimiser, one.clip, one.carry)
    state, metrics = quick.jit(lambda s: update(huge, s, batch))(huge.start(KEY))
    assert int(state.diverged) == 0 and float(metrics["gradient_norm"]) == pytest.approx(5e20)
    np.testing.assert_allclose(state.params["w"], [3 - 0.6, -4 - 0.8], rtol=1e-6)


@pytest.mark.parametrize(("rate", "diverged"), [(1e30, 1), (1e18, 0)])
def test_parameters_that_overflow_are_divergence_though_the_loss_is_finite(rate, diverged):
    """The loss of a saturated network: linear in its parameters, so that its gradient stays 1."""

    def loss(params, carry, batch, key):
        return jnp.sum(jnp.abs(params["w"])), (carry, {})

    one = dataclasses.replace(learner(rate), loss=loss)
    state, metrics = quick.jit(lambda s: updates(one, 2, s))(one.start(KEY))
    assert np.isfinite(metrics["loss"]).all() and np.isfinite(metrics["gradient_norm"]).all()
    assert int(state.diverged) == diverged
    if diverged:  # and the last sound parameters are kept
        np.testing.assert_array_equal(state.params["w"], one.start(KEY).params["w"])


# --- names ---


@pytest.mark.parametrize("name", optimisers.OPTIMISERS)
def test_every_optimiser_descends(name):
    one = Learner(
        init=lambda key: {"w": jnp.asarray([3.0, -4.0], jnp.float32)},
        loss=quadratic,
        optimiser=optimisers.optimiser(name, optimisers.schedule("cosine", 0.1, 40)),
        carry=lambda: jnp.zeros((), jnp.int32),
    )
    batches = jnp.zeros((40, 2), jnp.float32)
    state, metrics = quick.jit(lambda s: updates(one, 40, s, batches))(one.start(KEY))
    assert metrics["loss"][-1] < 0.9 * metrics["loss"][0]
    assert state.params["w"].dtype == jnp.float32


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("constant", [1, 1, 1]),
        ("linear", [1, 0.5, 0]),
        ("cosine", [1, 0.5, 0]),
        ("inverse_sqrt", [1, 1 / math.sqrt(50.5), 0.1]),
    ],
)
def test_schedules(name, factors):
    rate: Any = optimisers.schedule(name, 0.2, 110, warmup=10)
    got = [float(rate(count)) for count in (10, 60, 110)]
    np.testing.assert_allclose(got, 0.2 * np.array(factors), atol=1e-8)
    assert float(rate(0)) == pytest.approx(0.02) and float(rate(4)) == pytest.approx(0.1)
    rate = optimisers.schedule(name, 0.2, 10)
    assert float(rate(0)) == pytest.approx(0.2)


def test_learning_rates_that_fall_with_each_epoch():
    rate: Any = optimisers.decay_by_epoch(0.3, 4, 2, 1.5)
    got = [float(rate(jnp.int32(step))) for step in (0, 7, 8, 11, 12, 16)]
    np.testing.assert_allclose(got, 0.3 / 1.5 ** np.array([0, 0, 1, 1, 2, 3]), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimisers.optimiser("adm", 0.1), "optimiser='adm': unknown.*adam"),
        (lambda: optimisers.schedule("cos", 0.1, 5), "schedule='cos': unknown.*cosine"),
        (lambda: optimisers.schedule("cosine", -0.1, 5), "learning_rate=-0.1"),
        (lambda: optimisers.schedule("cosine", math.nan, 5), "learning_rate=nan"),
        (lambda: optimisers.schedule("cosine", 0.1, 5, 5), "warmup=5"),
        (lambda: optimisers.decay_by_epoch(-0.1, 5, 1, 2.0), "learning_rate=-0.1"),
        (lambda: optimisers.decay_by_epoch(0.1, 0, 1, 2.0), "epoch=0"),
        (lambda: optimisers.decay_by_epoch(0.1, 5, 0, 2.0), "constant=0"),
        (lambda: optimisers.decay_by_epoch(0.1, 5, 1, math.nan), "divisor=nan"),
        (lambda: Clip(norm=0.0), "clip_norm=0.0: must be above 0"),
        (lambda: Clip(value=-1.0), "clip_value=-1.0"),
    ],
)
def test_bad_values(call, message):
    with pytest.raises(UsageError, match=message):
        call()
