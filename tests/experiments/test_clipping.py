"""The tiny setting as users run it; starts, methods and success against NumPy; resumption."""

import dataclasses
import functools
import json
import math
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from experiments import clipping
from experiments.clipping import measure as measuring
from experiments.clipping import pictures, report
from experiments.clipping import success as succeeding
from experiments.clipping.config import GRID
from experiments.clipping.starts import STARTS, TASK
from experiments.clipping.success import Success
from rnnlab.cells import Elman
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices, log, loop, populations
from rnnlab.training.update import updates
from tests import quick
from tests.experiments.settings import assert_recorded, trainings

TINY = clipping.PRESETS["tiny"]
SMALL = clipping.Config(
    methods=("clip", "clip_penalty"),
    lengths=(10,),
    seeds=2,
    hidden=5,
    batch=4,
    learning_rate=0.1,
    steps=40,
    evaluate_every=10,
    evaluation_batch=40,
    dispatch=5,
)


def measure(folder, config=SMALL):
    with open_workdir(folder, "clipping", config) as workdir:
        return measuring.measure(config, workdir)


@pytest.fixture(scope="module", autouse=True)
def cheap_programs():
    """Less time to compile, more to run, the same numbers to rounding."""
    with mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options()):
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "w"
    with open_workdir(folder, "clipping", TINY) as workdir, trainings(measuring) as made:
        assert clipping.run(TINY, workdir) == "done"
    return folder, results.load_dataset(folder / "results.nc"), made


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "w"
    return folder, measure(folder)


def init(reader, seed):
    return start_of(reader)(jax.random.key(seed))


@functools.cache
def start_of(reader):
    return quick.jit(lambda key: reader.init(key, TASK.features_in))


# --- the tiny setting ---


@pytest.mark.slow
def test_the_tiny_setting_writes_everything(tiny):
    folder, data, _ = tiny
    made = {path.name for path in folder.iterdir()}
    assert made >= {"results.nc", "success.png", "report.html", *pictures.CURVES}
    assert (folder / "smart_tanh-10-clip/metrics.jsonl").exists()
    assert {"start": 1, "length": 1, "method": 3, "seed": 3}.items() <= data.sizes.items()
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 4 and "MSGD-CR" in page and "wrong at 20" in page


@pytest.mark.slow
def test_the_record_of_the_tiny_setting_is_what_was_trained(tiny):
    folder, data, made = tiny
    assert_recorded(folder, "clipping", TINY)
    assert data.method.values.tolist() == list(TINY.methods)
    assert data.length.values.tolist() == list(TINY.lengths)
    assert data.test_length.values.tolist() == list(TINY.test_lengths)
    for method, (learner, plan, keys) in zip(TINY.methods, made, strict=True):
        assert (plan.steps, plan.dispatch) == (TINY.steps, TINY.dispatch)
        assert plan.evaluate_every == TINY.evaluate_every
        assert learner.batch == TINY.batch and len(keys) == TINY.seeds
        assert learner.clip.norm == (None if method == "sgd" else TINY.clip_norm)
        assert learner.start(keys[0]).params["readout"]["w"].shape == (TINY.hidden, 4)


@pytest.mark.slow
def test_the_tiny_setting_learns_and_ends_when_all_seeds_have(tiny):
    _, data, _ = tiny
    best = data.sel({"start": "smart_tanh", "length": 10, "method": "clip_penalty"})
    assert best.baseline.item() == pytest.approx(math.log(4))
    assert bool((best.loss.isel(step=0) > 0.99 * math.log(4)).all())
    assert bool(np.isfinite(best.solved_at).all())
    assert best.steps_made.item() == best.solved_at.max().item() <= TINY.steps
    made = best.until.values <= best.steps_made.item()
    np.testing.assert_array_equal(np.isfinite(best.gradient_norm.values).all(axis=1), made)


@pytest.mark.slow
def test_solved_is_the_first_evaluation_with_few_enough_wrong_answers(tiny):
    _, data, _ = tiny
    rows = report.table(data)
    for one, row in zip(populations.points(data, GRID), rows, strict=True):
        below = one.wrong.values < TINY.solved
        first = [
            one.step.values[np.flatnonzero(column)[0]] if column.any() else np.nan
            for column in below.T
        ]
        np.testing.assert_array_equal(one.solved_at.values, np.array(first, float))
        assert row["solved"].startswith(f"{np.isfinite(first).sum()}/3 (")


# --- success ---


@pytest.mark.slow
def test_wrong_answers_are_counted(tmp_path):
    """Loss and share of wrong answers against a network in NumPy on the same sequences."""
    config = dataclasses.replace(SMALL, hidden=6)
    reader = STARTS["basic_tanh"](6)
    reader = dataclasses.replace(reader, deviation=2.0)
    members = [init(reader, seed) for seed in range(3)]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    with open_workdir(tmp_path / "w", "clipping", config) as workdir:
        success = Success(workdir, reader, TASK, 12, 60, solved=0.5)
        with mock.patch.object(succeeding, "DRAW", 30):
            values = success(params, 7)
    key = jax.random.fold_in(jax.random.key(succeeding.SEED), 7)
    drawn = [TASK.sample(jax.random.fold_in(key, i), size, 12) for i, size in enumerate((30, 30))]
    xs = np.concatenate([np.asarray(d.xs, np.float64) for d in drawn], axis=1)
    targets = np.concatenate([np.asarray(d.targets) for d in drawn])
    for i, member in enumerate(members):
        p = jax.tree.map(lambda a: np.asarray(a, np.float64), member)
        h = np.zeros((60, 6))
        for x in xs:
            h = np.tanh(x @ p["cell"]["wx"] + h @ p["cell"]["wh"] + p["cell"]["b"])
        answers = h @ p["readout"]["w"] + p["readout"]["b"]
        nats = np.log(np.exp(answers).sum(1)) - answers[np.arange(60), targets]
        assert values["wrong"][i] == pytest.approx((answers.argmax(1) != targets).mean())
        assert values["loss"][i] == pytest.approx(nats.mean(), rel=1e-5)
        assert values["sigma_max/h"][i] == pytest.approx(np.linalg.norm(p["cell"]["wh"], 2))
        radius = np.abs(np.linalg.eigvals(p["cell"]["wh"])).max()
        assert values["spectral_radius/h"][i] == pytest.approx(radius)


def test_a_network_that_is_far_off_sees_one_draw_only(tmp_path):
    reader = STARTS["smart_tanh"](5)
    params = jax.tree.map(lambda a: a[None], init(reader, 0))
    shares = []
    with open_workdir(tmp_path / "w", "clipping", SMALL) as workdir:
        for batch in (20, 80):
            success = Success(workdir, reader, TASK, 10, batch, solved=0.01)
            with mock.patch.object(succeeding, "DRAW", 20):
                shares.append(success.wrong(params, 0))
    np.testing.assert_array_equal(*shares)


def test_what_has_been_decided_is_read_from_the_log(tmp_path):
    with open_workdir(tmp_path / "w", "clipping", SMALL) as workdir:
        success = Success(workdir, STARTS["smart_tanh"](5), TASK, 10, 20, 0.9999)
        rows = [
            {"step": 10, "evaluation": {"solved_at": [None, 10.0, None]}},
            {"step": 15, "train": {"loss": [1.0, 1.0, None], "gradient_norm": [1.0, 1.0, 1.0]}},
        ]
        workdir.write(log.METRICS, "".join(json.dumps(row) + "\n" for row in rows))
        member = init(success.reader, 0)
        params = jax.tree.map(lambda a: jnp.stack([a, a, a]), member)
        values = success(params, 20)
    np.testing.assert_array_equal(values["solved_at"], [20, 10, 20])
    np.testing.assert_array_equal(values["diverged"], [False, False, True])
    assert success.finished({"solved_at": [20.0, None], "diverged": [False, True]})
    assert not success.finished({"solved_at": [20.0, None], "diverged": [False, False]})


# --- starts and methods ---


@pytest.mark.parametrize(
    ("start", "deviation"), [("smart_tanh", 0.01), ("basic_tanh", 0.1), ("sigmoid", 0.01)]
)
def test_starts(start, deviation):
    reader = STARTS[start](50)
    draws = [init(reader, seed) for seed in range(6)]
    for params in draws:
        assert not np.any(params["cell"]["b"]) and not np.any(params["readout"]["b"])
    gather = lambda *path: np.array([d[path[0]][path[1]] for d in draws], np.float64)  # noqa: E731
    assert gather("cell", "wx").std() == pytest.approx(deviation, rel=0.1)
    assert gather("readout", "w").std() == pytest.approx(deviation, rel=0.1)
    wh = gather("cell", "wh")
    if start == "smart_tanh":
        np.testing.assert_array_equal((wh != 0).sum(axis=1), 15)  # incoming, of row vectors
        np.testing.assert_allclose(np.abs(np.linalg.eigvals(wh)).max(axis=1), 0.95, rtol=1e-5)
    else:
        assert wh.std() == pytest.approx(deviation, rel=0.05)
    assert isinstance(reader.cell, Elman)
    assert reader.cell.activation == start.split("_")[-1]


def steps(method, count=30, **changes):
    config = dataclasses.replace(SMALL, hidden=8, **changes)
    learner = measuring.learner_of(config, "basic_tanh", 10, method)
    return quick.jit(lambda s: updates(learner, count, s))(learner.start(jax.random.key(1)))


def test_clipping_bounds_the_update():
    _, free = steps("sgd", clip_norm=0.05)
    _, bound = steps("clip", clip_norm=0.05)
    limit = 0.1 * 0.05
    assert float(free["update_norm"].max()) > 2 * limit
    assert float(bound["update_norm"].max()) <= limit * (1 + 1e-5)
    assert float(bound["clipped"].mean()) > 0 and not np.any(free["clipped"])


@pytest.mark.slow
def test_the_regulariser_keeps_the_gradient_on_its_way():
    config = dataclasses.replace(SMALL, hidden=8)
    batch = TASK.sample(jax.random.key(5), 50, 10)
    loss = quick.jit(measuring.learner_of(config, "basic_tanh", 10, "clip_penalty").loss)
    omegas = []
    for method in ("clip", "clip_penalty"):
        state, _ = steps(method, 100)
        _, (_, more) = loss(state.params, (), batch, jax.random.key(0))
        omegas.append(float(more["penalty"]))
    assert omegas[1] < 0.7 * omegas[0]


@pytest.mark.slow
def test_seeds_that_diverge_are_a_result(tmp_path):
    config = dataclasses.replace(SMALL, methods=("sgd",), learning_rate=1e38)
    data = measure(tmp_path / "w", config)
    assert bool((data.diverged_at >= 1).all()) and not np.isfinite(data.solved_at).any()
    (row,) = report.table(data)
    assert row["diverged"] == 2 and row["solved"].startswith("0/2")
    assert '"state": "done"' in (tmp_path / "w/status.json").read_text()


# --- the rest ---


@pytest.mark.slow
def test_a_run_that_is_stopped_continues_with_the_same_bits(small, tmp_path, monkeypatch):
    folder, whole = small
    original = loop._Run._measure

    def stop(self):
        original(self)
        if self._name == "smart_tanh-10-clip_penalty" and self._step == 30:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop._Run, "_measure", stop)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path / "w")
    monkeypatch.setattr(loop._Run, "_measure", original)
    names = [path.name for path in (tmp_path / "w/partial").iterdir()]
    assert names == ["smart_tanh-10-clip.nc"]
    xr.testing.assert_identical(measure(tmp_path / "w"), whole)
    name = "smart_tanh-10-clip_penalty"
    a, b = (root / name / "metrics.jsonl" for root in (folder, tmp_path / "w"))
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("adam",)}, "methods=adam: no such method; known: sgd, clip, clip_penalty"),
        ({"methods": ()}, r"methods=\(\)"),
        ({"starts": ("smart",)}, "starts=smart: no such start; did you mean smart_tanh"),
        ({"lengths": (10, 10)}, r"lengths=\(10, 10\): must be without repetition"),
        ({"lengths": (9,)}, "length=9"),
        ({"test_lengths": (0,)}, "length=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"steps": 0}, "steps=0"),
        ({"dispatch": 4}, "evaluate_every=10: must be a multiple of dispatch=4"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"solved": 1.0}, "solved=1.0"),
        ({"clip_norm": 0.0}, "clip_norm=0.0"),
        ({"penalty": math.nan}, "penalty=nan"),
        ({"methods": ("sgd",), "clip_norm": 2.0}, "clip_norm=2.0: methods=sgd would ignore it"),
        ({"methods": ("sgd", "clip"), "penalty": 4.0}, "penalty=4.0: .* add clip_penalty"),
    ],
)
def test_bad_values(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        dataclasses.replace(SMALL, **changes)
    assert "\n" not in str(error.value)
