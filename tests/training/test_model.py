"""The reader's answers and losses, and Pascanu's regulariser, against NumPy in float64."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells
from rnnlab.combinators import Dropout, LayerNorm, Residual, Stack, VariationalDropout, Zoneout
from rnnlab.data import tasks
from rnnlab.data.tasks import Batch
from rnnlab.errors import UsageError
from rnnlab.strategies import Control, autodiff
from rnnlab.training import devices, model, optimisers
from rnnlab.training.model import Reader, task_learner
from rnnlab.training.penalty import gradient_norm_penalty, penalised
from rnnlab.training.update import updates
from tests import quick

KEY = jax.random.key(2)

# --- answers and losses ---


def elman(params, xs):
    """Outputs `[T, H]` of a tanh network for one sequence `[T, D]`, and what it was before."""
    h, hs = np.zeros(params["wh"].shape[0]), []
    for x in xs:
        h = np.tanh(x @ params["wx"] + h @ params["wh"] + params["b"])
        hs.append(h)
    return np.array(hs)


def in_numpy(tree):
    return jax.tree.map(lambda a: np.asarray(a, np.float64), tree)


@pytest.mark.parametrize("name", ["parity", "parity_running", "copy", "adding"])
def test_losses_of_a_batch(name):
    task = tasks.by_name(name)
    reader = Reader(cells.by_name("tanh", 4), task.features_out)
    params = reader.init(KEY, task.features_in, jnp.float64)
    batch = task.sample(jax.random.key(1), 5, 6, jnp.float64)

    @quick.jit
    def measure(params, batch):
        _, ys = reader.run(params, batch.xs, lengths=batch.lengths)
        return model.losses(task, model.answer(reader, task, params, ys, batch.lengths), batch)

    error, right = measure(params, batch)
    p, b = in_numpy(params), jax.tree.map(np.asarray, batch)
    for i, length in enumerate(b.lengths):
        answers = elman(p["cell"], b.xs[:length, i]) @ p["readout"]["w"] + p["readout"]["b"]
        targets = b.targets[:length, i] if task.every_step else [b.targets[i]]
        answers = answers if task.every_step else answers[-1:]
        if task.classes:
            shares = np.exp(answers) / np.exp(answers).sum(axis=-1, keepdims=True)
            nats = [-np.log(share[t]) for share, t in zip(shares, targets, strict=True)]
            hits = [share.argmax() == t for share, t in zip(shares, targets, strict=True)]
            assert error[i] == pytest.approx(np.mean(nats))
            assert right[i] == pytest.approx(np.mean(hits))
        else:
            assert error[i] == pytest.approx((answers[0, 0] - targets[0]) ** 2)


@pytest.mark.slow
def test_compute_in_bfloat16_keeps_parameters_and_answers_in_float32():
    task = tasks.by_name("adding")
    full, half = (Reader(cells.by_name("lstm", 8), 1, compute=c) for c in (None, jnp.bfloat16))
    params = full.init(KEY, 2)
    xs = task.sample(KEY, 3, 9).xs
    (state, ys), (_, exact) = half.run(params, xs), full.run(params, xs)
    assert ys.dtype == jnp.float32 and state.c.dtype == jnp.float32
    difference = float(jnp.abs(ys - exact).max())
    assert 1e-5 < difference < 0.03
    learner = model.task_learner(
        half, task, batch=4, length=9, optimiser=optimisers.optimiser("adam", 0.01)
    )
    state, metrics = quick.jit(lambda s: updates(learner, 2, s))(learner.start(KEY))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.params))
    assert metrics["loss"].dtype == jnp.float32


def test_a_learner_learns_short_parity():
    task = tasks.Parity(running=True)
    learner = model.task_learner(
        Reader(cells.by_name("lstm", 12), 2),
        task,
        batch=32,
        length=6,
        optimiser=optimisers.optimiser("adam", 0.02),
    )
    _, metrics = jax.jit(lambda s: updates(learner, 600, s))(learner.start(KEY))
    assert float(metrics["loss"][:5].mean()) == pytest.approx(task.baseline(6), rel=0.2)
    assert float(metrics["loss"][-20:].mean()) < 0.05 * task.baseline(6)


# --- the regulariser ---


def omega(params, xs, d_ys, valid, wh):
    """Ω by explicit Jacobians, with the matrix `wh` in them; all else follows from `params`."""
    total = 0.0
    for b in range(xs.shape[1]):
        hs = elman(params, xs[:, b])[: valid[b]]
        slopes = 1 - hs**2
        adjoint = np.zeros(hs.shape[1])
        for t in reversed(range(len(hs))):
            adjoint = adjoint + d_ys[t, b]
            if np.any(adjoint):
                arrived = wh @ (slopes[t] * adjoint)
                total += (np.linalg.norm(arrived) / np.linalg.norm(adjoint) - 1) ** 2
            adjoint = params["wh"] @ (slopes[t] * adjoint)
    return total / xs.shape[1]


@pytest.mark.parametrize("where", ["last", "every"])
@pytest.mark.parametrize("lengths", [None, [5, 2, 0]])
def test_the_regulariser_and_its_immediate_gradient(where, lengths):
    cell = cells.by_name("tanh", 3)
    params = cell.init(KEY, 2, jnp.float64)
    keys = jax.random.split(jax.random.key(4), 2)
    xs = jax.random.normal(keys[0], (5, 3, 2), jnp.float64)
    d_ys = jax.random.normal(keys[1], (5, 3, 3), jnp.float64)
    valid = [5, 5, 5] if lengths is None else lengths
    steps = np.arange(5)[:, None]
    mask = steps < np.array(valid) if where == "every" else steps == np.array(valid) - 1
    d_ys = d_ys * jnp.asarray(mask[..., None], jnp.float64)
    control = Control(None if lengths is None else jnp.asarray(steps < np.array(valid)))
    value, gradient = quick.jit(
        jax.value_and_grad(
            lambda p: gradient_norm_penalty(
                cell, p, xs, cell.initial_state((3,), jnp.float64), d_ys, control
            )
        )
    )(params)
    p, x, d = in_numpy(params), np.asarray(xs), np.asarray(d_ys)
    assert float(value) == pytest.approx(omega(p, x, d, valid, p["wh"]), rel=1e-12)
    for index in np.ndindex(3, 3):
        nudge = np.zeros((3, 3))
        nudge[index] = 1e-6
        up, down = (omega(p, x, d, valid, p["wh"] + sign * nudge) for sign in (1, -1))
        assert float(gradient["wh"][index]) == pytest.approx((up - down) / 2e-6, abs=1e-7)
    assert not np.any(gradient["wx"]) and not np.any(gradient["b"])


@pytest.mark.parametrize(
    "name", ["gru", *(pytest.param(n, marks=pytest.mark.slow) for n in ("lstm", "lstm_coupled"))]
)
def test_the_regulariser_of_gated_cells_is_that_of_their_jacobians(name):
    cell = cells.by_name(name, 3)
    params = cell.init(KEY, 2, jnp.float64)
    xs = jax.random.normal(jax.random.key(5), (4, 1, 2), jnp.float64)
    start = cell.initial_state((1,), jnp.float64)
    d_ys = jnp.zeros((4, 1, 3), jnp.float64).at[-1].set(1.0)
    value = gradient_norm_penalty(cell, params, xs, start, d_ys)

    def flat(state):
        return jnp.concatenate([leaf[0] for leaf in state])

    def step(s, x):
        parts = jnp.split(s, len(start))
        return flat(cell.step(params, x, type(start)(*(part[None] for part in parts)))[0])

    states = [flat(start)]
    for t in range(4):
        states.append(step(states[-1], xs[t]))
    adjoint = np.zeros(len(states[0]))
    adjoint[:3] = 1.0
    expected = 0.0
    for t in reversed(range(4)):
        jacobian = np.asarray(jax.jacobian(step)(states[t], xs[t]))
        arrived = adjoint @ jacobian
        expected += (np.linalg.norm(arrived) / np.linalg.norm(adjoint) - 1) ** 2
        adjoint = arrived
    assert float(value) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ["tanh", "lstm_peephole", "gru"])
@pytest.mark.parametrize("lengths", [None, [5, 2, 3]])
def test_the_shared_passes_give_the_gradient_of_the_sum(name, lengths):
    """Error by plain autodiff and the regulariser by itself, against both from one pass."""
    cell = cells.by_name(name, 3)
    params = cell.init(KEY, 2, jnp.float64)
    keys = jax.random.split(jax.random.key(6), 2)
    xs = jax.random.normal(keys[0], (5, 3, 2), jnp.float64)
    readout = jax.random.normal(keys[1], (3,), jnp.float64)
    start = cell.initial_state((3,), jnp.float64)
    steps = np.arange(5)[:, None]
    control = Control(None if lengths is None else jnp.asarray(steps < np.array(lengths)))

    def error(readout, ys):
        return jnp.square(ys @ readout - 0.3).sum()

    def apart(params, readout):
        ys = autodiff(cell, params, xs, start, control)[1]
        d_ys = jax.grad(lambda ys: error(jax.lax.stop_gradient(readout), ys))(ys)
        omega = gradient_norm_penalty(cell, params, xs, start, d_ys, control)
        return error(readout, ys) + 0.7 * omega, (error(readout, ys), omega)

    def together(params, readout):
        total, plain, omega = penalised(cell, params, xs, start, error, readout, 0.7, control)
        return total, (plain, omega)

    found, expected = (
        quick.jit(jax.value_and_grad(function, argnums=(0, 1), has_aux=True))(params, readout)
        for function in (together, apart)
    )
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_vanishing_gradient_is_no_reason_to_fail():
    cell = cells.by_name("tanh", 3, wh_init=lambda *args: jnp.zeros((3, 3), jnp.float32))
    params = cell.init(KEY, 2)
    d_ys = jnp.zeros((4, 2, 3), jnp.float32).at[-1].set(1e-30)
    value, gradient = jax.value_and_grad(
        lambda p: gradient_norm_penalty(
            cell, p, jnp.ones((4, 2, 2), jnp.float32), cell.initial_state((2,)), d_ys
        )
    )(params)
    assert float(value) == pytest.approx(1.0)  # the last step sends, and nothing arrives
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_training_with_the_regulariser_changes_the_recurrent_matrix_only_more():
    task = tasks.TemporalOrder(2)
    reader = Reader(cells.by_name("tanh", 6), 4)

    def once(weight):
        learner = model.task_learner(
            reader,
            task,
            batch=4,
            length=12,
            optimiser=optimisers.optimiser("sgd", 0.1),
            penalty_weight=weight,
        )
        return quick.jit(lambda s: updates(learner, 1, s))(learner.start(KEY))

    (plain, _), (more, metrics) = once(0.0), once(0.5)
    a, b = plain.params, more.params
    assert not np.allclose(a["cell"]["wh"], b["cell"]["wh"])
    np.testing.assert_allclose(a["cell"]["wx"], b["cell"]["wx"], rtol=1e-5)
    np.testing.assert_allclose(a["readout"]["w"], b["readout"]["w"], rtol=1e-5)
    assert float(metrics["loss"][0]) == pytest.approx(
        float(metrics["error"][0] + 0.5 * metrics["penalty"][0]), rel=1e-6
    )


def test_cells_that_the_regulariser_is_not_defined_for():
    reset_first = cells.by_name("gru_reset_before", 3)
    for cell in (reset_first, Residual(cells.by_name("tanh", 3))):
        with pytest.raises(UsageError, match=f"penalty: not for {type(cell).__name__}"):
            model.task_learner(
                Reader(cell, 1),
                tasks.Adding(),
                batch=2,
                length=4,
                optimiser=optimisers.optimiser("sgd", 0.1),
                penalty_weight=1.0,
            )


def test_the_batch_is_what_the_task_draws():
    learner = model.task_learner(
        Reader(cells.by_name("tanh", 2), 1),
        tasks.Adding(),
        batch=3,
        length=7,
        optimiser=optimisers.optimiser("sgd", 0.1),
    )
    assert learner.sample is not None
    batch = learner.sample(KEY)
    assert isinstance(batch, Batch) and batch.xs.shape == (7, 3, 2)


def test_a_population_starts_as_its_members_do():
    """Orthogonal matrices of four gates, drawn for many members."""
    learner = model.task_learner(
        Reader(cells.by_name("lstm", 5), 1),
        tasks.Adding(),
        batch=2,
        length=4,
        optimiser=optimisers.optimiser("adam", 0.1),
    )
    keys = jax.random.split(KEY, 4)
    many = devices.Programs(learner, keys).start()
    one = devices.Programs(learner, keys[3]).start()
    for a, b in zip(jax.tree.leaves(many.params), jax.tree.leaves(one.params), strict=True):
        np.testing.assert_array_equal(a[3], b)
    assert many.step.shape == (4,) and many.key[3] == one.key


@pytest.mark.slow
def test_members_in_turn_learn_what_they_learn_side_by_side():
    learner = model.task_learner(
        Reader(cells.by_name("tanh", 3), 1),
        tasks.Adding(),
        batch=2,
        length=4,
        optimiser=optimisers.optimiser("sgd", 0.1),
    )
    keys = jax.random.split(KEY, 3)
    found = []
    for in_turn in (True, False):
        programs = devices.Programs(dataclasses.replace(learner, in_turn=in_turn), keys)
        state = programs.start()
        found.append(programs.updates(4, state, None)(state, None))
    (a, metrics), (b, expected) = found
    assert metrics["loss"].shape == (3, 4)
    np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=1e-5)
    for x, y in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_the_deviation_of_the_readout():
    reader = Reader(cells.by_name("tanh", 400), 5, deviation=0.02)
    w = reader.init(KEY, 2)["readout"]["w"]
    assert float(w.std()) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "hoisted"}, "penalty: ignores strategy='hoisted'"),
        ({"strategy": "rematerialised"}, "penalty: ignores strategy='rematerialised'"),
        ({"compute": jnp.bfloat16}, "penalty: ignores compute=bfloat16"),
        ({"cell": VariationalDropout(cells.by_name("tanh", 6), 0.1, 0.1)}, "penalty: ignores the"),
        ({"cell": LayerNorm(Zoneout(cells.by_name("tanh", 6), 0.1))}, "penalty: ignores the noise"),
        ({"cell": Stack((cells.by_name("tanh", 6), Dropout(0.1)))}, "penalty: not for Stack"),
    ],
)
def test_the_regulariser_ignores_no_setting(settings, message):
    task = tasks.TemporalOrder(2)
    reader = Reader(**({"cell": cells.by_name("tanh", 6), "outputs": 4} | settings))
    made: Any = {"batch": 2, "length": 12, "optimiser": optimisers.optimiser("sgd", 0.1)}
    with pytest.raises(UsageError, match=f"^{message}"):
        task_learner(reader, task, penalty_weight=1.0, **made)
    task_learner(reader, task, **made)
    task_learner(Reader(cells.by_name("tanh", 6), 4, "auto"), task, penalty_weight=1.0, **made)
