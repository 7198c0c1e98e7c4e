"""Truncated gradients against NumPy's, their numbers, and the tiny setting as users run it."""

import dataclasses
from unittest import mock

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

from experiments import bptt_horizon
from experiments.bptt_horizon import measure as measuring
from experiments.bptt_horizon.gradients import Gradients, compare, noise
from experiments.bptt_horizon.problems import TaskProblem, TextProblem, problem_of, reader_of
from rnnlab.data import tasks
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices, optimisers
from rnnlab.training.evaluators import TaskEvaluator
from rnnlab.training.optimisers import Clip
from rnnlab.training.starts import Population
from tests import quick
from tests.experiments.settings import assert_recorded, changed, trainings

TINY = bptt_horizon.PRESETS["tiny"]
SMALL = changed(
    bptt_horizon.Config(),
    tasks=("text", "adding"),
    networks=("tanh",),
    length=4,
    horizons=(2,),
    seeds=2,
    hidden=6,
    batch=4,
    steps=20,
    gradient_batches=3,
    evaluate_every=10,
    evaluation_batch=8,
    dispatch=10,
)


@pytest.fixture(scope="module", autouse=True)
def cheap_programs():
    """Less time to compile, more to run, the same numbers to rounding; a short text."""
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, mock.patch("rnnlab.data.corpus.SENTENCES", 60):
        yield


def run(folder, config=SMALL):
    with open_workdir(folder, "bptt_horizon", config) as workdir:
        assert bptt_horizon.run(config, workdir) == "done"
    return results.load_dataset(folder / "results.nc")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "w"
    with trainings(measuring) as made:
        return folder, run(folder), made


# --- the gradients ---


def by_hand(params, xs, targets, horizon):
    """Gradient of the mean squared error of adding by a tanh network, in float64, cut by hand."""
    wx, wh, b = (np.asarray(params["cell"][n], np.float64) for n in ("wx", "wh", "b"))
    w, c = (np.asarray(params["readout"][n], np.float64) for n in ("w", "b"))
    steps, batch = xs.shape[:2]
    h = np.zeros((batch, len(wh)))
    states = [h]
    for x in xs:
        h = np.tanh(x @ wx + h @ wh + b)
        states.append(h)
    d_answer = 2 * ((h @ w + c)[:, 0] - targets)[:, None] / batch
    d = {"wx": np.zeros_like(wx), "wh": np.zeros_like(wh), "b": np.zeros_like(b)}
    d_h = d_answer @ w.T
    for t in reversed(range(steps)):
        d_v = d_h * (1 - states[t + 1] ** 2)
        d["wx"] += xs[t].T @ d_v
        d["wh"] += states[t].T @ d_v
        d["b"] += d_v.sum(axis=0)
        d_h = d_v @ wh.T * (t % horizon != 0)  # a window begins at t: nothing flows back into it
    return {"cell": d, "readout": {"w": h.T @ d_answer, "b": d_answer.sum(axis=0)}}


def learner_of(problem, horizon):
    population = Population(("tanh",), hidden=4, strategy="autodiff")
    reader = reader_of(population, "tanh", problem, horizon)
    return problem.learner(reader, optimisers.optimiser("sgd", 0.1), Clip())


@pytest.mark.parametrize("horizon", [pytest.param(1, marks=pytest.mark.slow), 3, 6])
def test_a_cut_gradient_is_the_one_computed_by_hand(horizon):
    problem = TaskProblem(tasks.Adding(), 6, 5, 8)
    learner = learner_of(problem, horizon)
    params = jax.jit(learner.start)(jax.random.key(0)).params
    batches = problem.batches(2)
    expected = [
        ravel_pytree(by_hand(params, np.asarray(x, np.float64), np.asarray(y), horizon))[0]
        for x, y in zip(batches.xs, batches.targets, strict=True)
    ]
    np.testing.assert_allclose(Gradients(learner, batches)(params), expected, 1e-4, 1e-6)


@pytest.mark.slow
def test_a_text_goes_on_from_one_batch_to_the_next():
    """The second window's gradient is that of the state that the first one left."""
    config = changed(bptt_horizon.Config(), corpus="made", length=5, batch=3, horizons=())
    problem = problem_of(config, "text")
    learner = learner_of(problem, 5)
    params = jax.jit(learner.start)(jax.random.key(0)).params
    batches = problem.batches(2)
    first, second = (jax.tree.map(lambda a, i=i: a[i], batches) for i in (0, 1))
    key = jax.random.key(0)
    _, (carry, _) = learner.loss(params, learner.carry(), first, key)
    expected, _ = jax.grad(learner.loss, has_aux=True)(params, carry, second, key)
    found = Gradients(learner, batches)(params)[1]
    np.testing.assert_allclose(found, ravel_pytree(expected)[0], 1e-4, 1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), scale=st.floats(0.1, 10))
def test_numbers_of_a_comparison(seed, scale):
    full = np.random.default_rng(seed).normal(size=(5, 7))
    assert compare(full, full) == pytest.approx((1, 1, 0), abs=1e-12)
    assert compare(scale * full, full) == pytest.approx((1, scale, abs(scale - 1)))
    other = np.zeros_like(full)
    other[:, ::2] = full[:, ::2]  # a part of the parameters
    cut = compare(other, full)
    assert 0 <= cut.cosine <= 1 and cut.cosine == pytest.approx(cut.ratio)
    left = np.delete(full.mean(axis=0), slice(None, None, 2))
    assert cut.bias == pytest.approx(np.linalg.norm(left) / np.linalg.norm(full.mean(axis=0)))


def test_noise_is_the_spread_of_batches():
    mean, apart = np.array([3.0, 4.0]), np.array([0.0, 1.0])
    assert noise(np.stack([mean + apart, mean - apart])) == pytest.approx(0.2)
    assert np.isnan(compare(np.zeros((2, 3)), np.ones((2, 3))).cosine)  # no direction


# --- the experiment ---


@pytest.mark.slow
def test_the_full_horizon_cuts_nothing_and_everything_is_there(small):
    folder, data, _ = small
    assert data.horizon.values.tolist() == [2, 4] and data.step.values.tolist() == [0, 10, 20]
    whole = data.sel(horizon=4)
    np.testing.assert_allclose(whole.cosine, 1, atol=1e-9)
    np.testing.assert_allclose(whole.bias, 0, atol=1e-9)
    cut = data.sel(horizon=2)
    assert (cut.bias > 1e-3).all() and (cut.cosine < 1).all()
    assert np.isfinite(data.loss.values).all() and np.isnan(data.diverged_at.values).all()
    first = data.loss.isel(step=0)
    assert (first.sel(horizon=2) == first.sel(horizon=4)).all()  # the same networks at the start
    assert data.task.values.tolist() == ["text", "adding"]
    assert data.baseline.sel(task="adding").item() == pytest.approx(1 / 6)
    for name in ("horizons.png", "curves.png", "report.html"):
        assert (folder / name).stat().st_size > 1000


@pytest.mark.slow
def test_a_run_that_is_stopped_continues_with_the_same_bits(small, tmp_path, monkeypatch):
    original = TaskEvaluator.__call__

    def stopping(self, params, step):
        if step == 10:
            raise KeyboardInterrupt
        return original(self, params, step)

    monkeypatch.setattr(TaskEvaluator, "__call__", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "w")
    monkeypatch.undo()
    assert run(tmp_path / "w").equals(small[1])


@pytest.mark.slow
def test_the_record_is_what_was_trained(small):
    folder, data, made = small
    assert_recorded(folder, "bptt_horizon", SMALL)
    training, population = SMALL.training, SMALL.population
    assert data.network.values.tolist() == list(population.networks) and len(made) == 6
    for learner, plan, keys in made:
        assert (plan.steps, plan.dispatch) == (training.steps, training.dispatch)
        assert plan.evaluate_every == training.evaluate_every
        assert (
            plan.units_per_update == training.batch * population.seeds
            and len(keys) == population.seeds
        )
        assert learner.clip.norm == training.clip_norm
        assert learner.start(keys[0]).params["readout"]["w"].shape[0] == population.hidden


def test_horizons_of_tasks_of_other_lengths(tmp_path):
    """copy has T + 20 steps; each task ends at its own number."""
    config = dataclasses.replace(SMALL, tasks=("adding", "copy"), horizons=(2, 4))
    assert config.reaches(4) == (2, 4) and config.reaches(24) == (2, 4, 24)


def test_the_loss_without_memory_is_the_entropy_of_pairs():
    problem = problem_of(bptt_horizon.Config(), "text")
    assert isinstance(problem, TextProblem)
    text = problem.corpus.symbols["train"]
    pairs = [text[i : i + 2] for i in range(len(text) - 1)]
    counts = {pair: pairs.count(pair) for pair in set(pairs)}
    firsts = {a: sum(n for pair, n in counts.items() if pair[0] == a) for a in set(text)}
    nats = -sum(n * np.log(n / firsts[pair[0]]) for pair, n in counts.items()) / len(pairs)
    assert problem.baseline == pytest.approx(nats)


@pytest.mark.slow
def test_the_tiny_setting(tmp_path):
    data = run(tmp_path / "w", TINY)
    assert (data.loss.isel(step=-1) < data.baseline).all()
    assert_recorded(tmp_path / "w", "bptt_horizon", TINY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 0}, "length=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"gradient_batches": 0}, "gradient_batches=0"),
        ({"horizons": (3,)}, r"horizons=\(3,\): 3 does not divide the 64 steps"),
        ({"horizons": (0,)}, r"horizons=\(0,\)"),
        ({"tasks": ()}, r"tasks=\(\)"),
        ({"tasks": ("addin",)}, "tasks='addin': unknown, choose one of"),
        ({"networks": ("lstn",)}, "networks='lstn'"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
        ({"strategy": "x"}, "strategy='x'"),
        ({"steps": 0}, "steps=0"),
        ({"optimiser": "x"}, "optimiser='x'"),
        ({"horizons": (2, 2)}, r"horizons=\(2, 2\): must be without repetition"),
        ({"networks": ("gru", "gru")}, r"networks=\('gru', 'gru'\)"),
        (
            {"tasks": ("adding",), "corpus": "tiny_shakespeare"},
            "corpus=tiny_shakespeare: tasks=adding reads no text; add text",
        ),
        ({"tasks": ("copy",), "horizons": (), "manual_dir": "d"}, "manual_dir=d: tasks=copy"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(bptt_horizon.Config(), **changes)
    assert "\n" not in str(error.value)


def test_a_corpus_that_is_not_there(tmp_path):
    config = changed(SMALL, corpus=str(tmp_path / "none.txt"))
    with pytest.raises(UsageError, match=r"^corpus=.*: no such file"):
        run(tmp_path / "w", config)
