"""The loop: what it writes, and that no interruption changes a bit of it."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.data import pipelines
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import checkpoint_files, checkpoints, devices, log, optimisers
from rnnlab.training.loop import train
from rnnlab.training.plan import Plan
from rnnlab.training.update import Learner
from tests import quick
from tests.training.measured import Measured

ROOT = Path(__file__).parents[2]
PLAN = Plan(steps=24, dispatch=4, evaluate_every=8, checkpoint_every=12, best="distance")


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0


def loss(params, carry, batch, key):
    """Noise from the key and memory in the carry, so that a resumption that loses either shows."""
    noise = 0.1 * jax.random.normal(key, batch.shape, jnp.float32)
    error = params["w"] - batch + noise + 0.01 * carry
    return jnp.mean(error**2), (0.9 * carry + params["w"], {})


def learner(rate=0.05, size=3, fed=False, name="adam"):
    return Learner(
        init=lambda key: {"w": jax.random.normal(key, (size,), jnp.float32)},
        loss=loss,
        optimiser=optimisers.optimiser(name, rate),
        carry=lambda: jnp.zeros(size, jnp.float32),
        sample=None if fed else lambda key: jax.random.normal(key, (size,), jnp.float32),
    )


def evaluate(params, step):
    del step
    return {"distance": np.linalg.norm(np.asarray(params["w"]), axis=-1)}


def feed():
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    return pipelines.Feed(pipelines.shuffled(rows, 1, seed=1, collate=lambda rows: rows[0]))


def run(folder, one=None, plan=PLAN, key=None, evaluate=evaluate, stop=None, **settings):
    key = jax.random.key(5) if key is None else key
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    evaluator = Measured(evaluate, stop)
    with cheap, open_workdir(folder, "toy", Config()) as workdir:
        return train(workdir, one or learner(), plan, key, evaluator=evaluator, **settings)


def state_of(folder):
    return json.loads((folder / "status.json").read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    outcome = run(folder)
    return folder, outcome.state._replace(key=None), outcome


def assert_whole(whole, folder, outcome):
    chex.assert_trees_all_equal(whole[1], outcome.state._replace(key=None))
    assert (whole[0] / log.METRICS).read_bytes() == (folder / log.METRICS).read_bytes()
    assert outcome.evaluations == whole[2].evaluations and outcome.best == whole[2].best


# --- what is written ---


def test_rows_evaluations_and_checkpoints(whole):
    folder, _, outcome = whole
    text = (folder / log.METRICS).read_text()
    steps = [row["step"] for row in log.read(text, "train")]
    assert steps == [4, 8, 12, 16, 20, 24]
    rows = log.read(text, "train")
    assert all({"loss", "gradient_norm", "update_norm", "clipped"} <= set(row) for row in rows)
    assert [row["step"] for row in log.read(text, "evaluation")] == [0, 8, 16, 24]
    assert [row["step"] for row in outcome.evaluations] == [0, 8, 16, 24]
    values = {row["step"]: row["distance"] for row in outcome.evaluations[1:]}
    assert outcome.best == min(values, key=lambda step: values[step])
    best = outcome.restore(outcome.best)
    assert evaluate(best.params, 0)["distance"] == np.float32(values[outcome.best])
    kept = sorted(int(path.name) for path in (folder / "checkpoints").iterdir())
    assert kept == [16, 24]
    times = json.loads((folder / "times.json").read_text())
    assert times["program"] > 0 and 0 <= times["share_outside"] <= 1
    assert list((folder / "tensorboard").iterdir()) and state_of(folder)["state"] == "done"


def test_the_same_command_after_the_end_changes_nothing(whole, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(whole[0], folder)
    times = (folder / "times.json").read_bytes()
    assert_whole(whole, folder, run(folder))
    assert (folder / "times.json").read_bytes() == times


def test_an_evaluation_can_end_the_run(tmp_path):
    for _ in range(2):
        outcome = run(tmp_path, stop=lambda values: values["distance"] < 1e9)
        assert outcome.step == 0 and [row["step"] for row in outcome.evaluations] == [0]
    outcome = run(tmp_path / "b", stop=lambda values: len(str(values)) < 0)
    assert outcome.step == 24


def test_dispatches_end_where_something_is_due():
    plan = Plan(steps=23, dispatch=4, evaluate_every=8, checkpoint_every=6)
    stops = [0]
    while stops[-1] < plan.steps:
        stops.append(plan.next_stop(stops[-1]))
    assert stops == [0, 4, 6, 8, 12, 16, 18, 20, 23]
    plan = dataclasses.replace(plan, evaluate_at=(5, 8, 30))
    assert [plan.next_stop(step) for step in (0, 4, 5, 22)] == [4, 5, 6, 23]
    with pytest.raises(UsageError, match="dispatch=0"):
        Plan(steps=3, dispatch=0)


def test_evaluations_at_further_steps(tmp_path):
    plan = dataclasses.replace(PLAN, evaluate_at=(5, 8, 10))
    outcome = run(tmp_path, plan=plan)
    assert [row["step"] for row in outcome.evaluations] == [0, 5, 8, 10, 16, 24]


# --- interruptions ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [0, 8, 16])
def test_a_signal_saves_and_the_same_command_continues(whole, tmp_path, number, at, monkeypatch):
    def interrupt(params, step):
        if step == at:
            signal.raise_signal(number)
        return evaluate(params, step)

    def terminate(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, evaluate=interrupt)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert state_of(tmp_path)["state"] == "interrupted"
    if at:
        assert (tmp_path / f"checkpoints/{at}").exists()
    assert_whole(whole, tmp_path, run(tmp_path))


def test_times_go_on_where_a_run_was_stopped(whole, tmp_path, monkeypatch):
    def interrupt(params, step):
        if step == 16:
            signal.raise_signal(signal.SIGINT)
        return evaluate(params, step)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, evaluate=interrupt)
    before = json.loads((tmp_path / "times.json").read_text())
    run(tmp_path)
    after = json.loads((tmp_path / "times.json").read_text())
    assert all(after[name] >= before[name] > 0 for name in ("program", "evaluate", "total"))


def test_a_second_signal_does_not_wait(tmp_path):
    def twice(params, step):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("still here")

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, evaluate=twice)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_crash_continues_from_the_checkpoint(whole, tmp_path):
    def crash(params, step):
        if step == 16:
            raise ZeroDivisionError
        return evaluate(params, step)

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, evaluate=crash)
    assert_whole(whole, tmp_path, run(tmp_path))


def test_a_feed_continues_at_its_place(tmp_path):
    expected = run(tmp_path / "whole", learner(fed=True), feed=feed())

    def crash(params, step):
        if step == 16:
            raise ZeroDivisionError
        return evaluate(params, step)

    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "b", learner(fed=True), evaluate=crash, feed=feed())
    outcome = run(tmp_path / "b", learner(fed=True), feed=feed())
    chex.assert_trees_all_equal(expected.state._replace(key=None), outcome.state._replace(key=None))
    a, b = (tmp_path / name / log.METRICS for name in ("whole", "b"))
    assert a.read_bytes() == b.read_bytes()


SCRIPT = """
import os, random, signal, sys, threading, time
sys.path[:0] = [{root!r}]
import jax
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
from tests.training import test_loop
from pathlib import Path

def evaluate(params, step):
    if step >= 8 and {kill}:
        threading.Timer(random.random() * 0.15, os.kill, (os.getpid(), signal.SIGKILL)).start()
        time.sleep(0.03)
    return test_loop.evaluate(params, step)

test_loop.run(Path({folder!r}), evaluate=evaluate)
"""


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_random_moments(whole, tmp_path):
    for kill in (True, True, False):
        code = SCRIPT.format(root=str(ROOT), folder=str(tmp_path / "w"), kill=kill)
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=100)
        assert done.returncode in ((0, -signal.SIGKILL) if kill else (0,))
    assert_whole(whole, tmp_path / "w", run(tmp_path / "w"))


# --- damage ---


def damaged(whole, folder, victim):
    """A copy of the finished run with a damaged checkpoint of its last step."""
    shutil.copytree(whole[0], folder)
    found = (folder / "checkpoints/24").glob(victim)
    path = max(found, key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize(
    "victim",
    ["state/_METADATA", "state/manifest.ocdbt", "state/d/*", "contents/metadata"],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(whole, tmp_path, victim, capfd):
    damaged(whole, tmp_path / "w", victim)
    outcome = run(tmp_path / "w")
    lines = [line for line in capfd.readouterr().err.splitlines() if "damaged" in line]
    assert len(lines) == 1 and "checkpoint of step 24 is damaged" in lines[0]
    assert_whole(whole, tmp_path / "w", outcome)


def test_numbers_that_the_format_takes_for_sound(whole, tmp_path, capfd, monkeypatch):
    """One wrong bit in the arrays as they were restored."""
    shutil.copytree(whole[0], tmp_path / "w")
    original = checkpoint_files.checksums
    calls = []

    def once(arrays):
        calls.append(1)
        return {name: sum + (len(calls) == 1) for name, sum in original(arrays).items()}

    monkeypatch.setattr(checkpoint_files, "checksums", once)
    assert_whole(whole, tmp_path / "w", run(tmp_path / "w"))
    assert "step 24 is damaged (its checksums do not match)" in capfd.readouterr().err


def test_an_unfinished_checkpoint_is_dropped(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "w")
    folder = tmp_path / "w/checkpoints"
    (folder / "24").rename(folder / "24.orbax-checkpoint-tmp-1")
    assert_whole(whole, tmp_path / "w", run(tmp_path / "w"))
    assert sorted(path.name for path in folder.iterdir()) == ["16", "24"]


def test_another_architecture(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "w")
    with pytest.raises(UsageError, match=r"'w'.*float32\[3\] there and float32\[4\] here"):
        run(tmp_path / "w", learner(size=4))
    with pytest.raises(UsageError, match="another network or optimiser"):
        run(tmp_path / "w", learner(name="sgd"))
    assert sorted(p.name for p in (tmp_path / "w/checkpoints").iterdir()) == sorted(
        p.name for p in (whole[0] / "checkpoints").iterdir()
    )


def test_a_full_disk_is_one_line_and_costs_one_checkpoint(whole, tmp_path, monkeypatch):
    manager = checkpoints.ocp.CheckpointManager
    save = manager.save

    def full(self, step, **kwargs):
        if step == 12:
            raise OSError(28, "No space left on device")
        return save(self, step, **kwargs)

    monkeypatch.setattr(manager, "save", full)
    with pytest.raises(
        RunError, match=r"cannot be written .*No space left.*rerun the same comm"
    ) as error:
        run(tmp_path)
    assert "\n" not in str(error.value)
    monkeypatch.setattr(manager, "save", save)
    assert_whole(whole, tmp_path, run(tmp_path))


# --- divergence and populations ---


def test_divergence_is_told_with_its_step(tmp_path):
    outcome = run(tmp_path, learner(rate=1e38, name="sgd"))
    assert 1 <= int(outcome.diverged) <= 3
    assert np.isfinite(outcome.state.params["w"]).all() and outcome.step == 4
    again = run(tmp_path, learner(rate=1e38, name="sgd"))
    assert int(again.diverged) == int(outcome.diverged)


def test_members_of_a_population_are_single_runs(tmp_path):
    keys = jax.random.split(jax.random.key(3), 4)
    plan = dataclasses.replace(PLAN, best="")
    many = run(tmp_path / "many", plan=plan, key=keys)
    one = run(tmp_path / "one", plan=plan, key=keys[2])
    np.testing.assert_allclose(many.state.params["w"][2], one.state.params["w"], rtol=1e-6)
    (*_, row) = log.read((tmp_path / "many" / log.METRICS).read_text(), "train")
    (*_, single) = log.read((tmp_path / "one" / log.METRICS).read_text(), "train")
    assert len(row["loss"]) == 4 and row["loss"][2] == pytest.approx(single["loss"], rel=1e-6)
    assert len(many.evaluations[0]["distance"]) == 4 and many.diverged.shape == (4,)


def test_a_population_continues_with_the_same_bits(tmp_path):
    keys = jax.random.split(jax.random.key(3), 3)
    plan = dataclasses.replace(PLAN, best="")
    whole = run(tmp_path / "whole", plan=plan, key=keys)

    def crash(params, step):
        if step == 16:
            raise ZeroDivisionError
        return evaluate(params, step)

    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "b", plan=plan, key=keys, evaluate=crash)
    outcome = run(tmp_path / "b", plan=plan, key=keys)
    chex.assert_trees_all_equal(whole.state._replace(key=None), outcome.state._replace(key=None))


def test_one_member_that_diverges_does_not_stop_the_others(tmp_path):
    def explosive(params, carry, batch, key):
        value, rest = loss(params, carry, batch, key)
        return jnp.where(params["w"][0] > 0, value, jnp.nan), rest

    one = dataclasses.replace(learner(), loss=explosive)
    keys = jax.random.split(jax.random.key(3), 6)
    outcome = run(tmp_path, one, plan=dataclasses.replace(PLAN, best=""), key=keys)
    assert 0 < (outcome.diverged > 0).sum() < 6
    assert state_of(tmp_path)["state"] == "done" and outcome.step == 24


def test_two_runs_in_one_work_directory(tmp_path):
    with open_workdir(tmp_path, "toy", Config()) as workdir:
        for name in ("a", "b"):
            train(
                workdir,
                learner(),
                PLAN,
                jax.random.key(1),
                evaluator=Measured(evaluate),
                name=name,
            )
    a, b = (tmp_path / name / log.METRICS for name in "ab")
    assert a.read_bytes() == b.read_bytes()
