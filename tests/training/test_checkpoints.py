"""Checkpoints that are damaged, cannot be read, or are read while a training writes them."""

import errno
import gc
import hashlib
import os
import resource
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rnnlab.errors import RunError
from rnnlab.training import checkpoint_files, log
from rnnlab.training.checkpoint_files import read_parameters
from rnnlab.training.checkpoints import Checkpoints
from tests.training.test_loop import (
    PLAN,
    assert_whole,
    evaluate,
    learner,
    run,
    state_of,
    whole,  # noqa: F401  (a fixture)
)

#: Names of folders that a library may read as patterns, or as addresses.
ODD = ["lr[0.01]", "[", "a*b?", "100%20", "x#y", "**", "a b'c\"d", "é€", "{a,b}", "$HOME", "a&b;c"]


def contents(folder):
    """Hashes of all files in a folder, and the times at which files and folders changed."""
    return {
        path.relative_to(folder): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted([folder, *folder.rglob("*")])
    }


def like():
    return learner().start(jax.random.key(5))


# --- the place ---


@pytest.mark.parametrize(
    "name", [*ODD[:3], *(pytest.param(name, marks=pytest.mark.slow) for name in ODD[3:])]
)
def test_no_name_of_a_folder_is_read_as_a_pattern(whole, tmp_path, name, capfd):  # noqa: F811
    folder = tmp_path / name

    def crash(params, step):
        if step == 16:
            raise ZeroDivisionError
        return evaluate(params, step)

    with pytest.raises(ZeroDivisionError):
        run(folder, evaluate=crash)
    step, _ = read_parameters(folder / "checkpoints", "last", like().params)
    assert step == 12
    outcome = run(folder)
    assert_whole(whole, folder, outcome)
    assert outcome.restore(outcome.best).params["w"].shape == (3,)
    assert "damaged" not in capfd.readouterr().err


# --- a read that failed is no damage ---


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("reader", ["read_json", "read_arrays", "_read_through"])
def test_what_cannot_be_read_stays(whole, tmp_path, monkeypatch, number, reader):  # noqa: F811
    folder = tmp_path / "w"
    shutil.copytree(whole[0], folder)
    before = contents(folder / "checkpoints")

    def failing(*args):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_files, reader, failing)
        with pytest.raises(RunError, match=rf"24: cannot be read \({os.strerror(number)}\)") as e:
            run(folder)
        with pytest.raises(RunError, match=rf"cannot be read \({os.strerror(number)}\)"):
            read_parameters(folder / "checkpoints", "last", like().params)
    assert "\n" not in str(e.value) and contents(folder / "checkpoints") == before
    assert_whole(whole, folder, run(folder))


@pytest.mark.parametrize("spare", [0, 1, 2, 4, 6, 10])
def test_a_process_out_of_descriptors_damages_nothing(
    whole,  # noqa: F811
    tmp_path,
    spare,
    monkeypatch,
):
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # orbax leaves coroutines behind
    folder, wanted = tmp_path / "w", like()
    shutil.copytree(whole[0], folder)
    before = contents(folder / "checkpoints")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, hard))
        Checkpoints(folder / "checkpoints").latest(wanted)
    except (RunError, OSError) as error:
        assert "damaged" not in str(error)
    finally:
        gc.collect()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert contents(folder / "checkpoints") == before


def test_no_memory_for_a_checkpoint(whole, tmp_path, monkeypatch):  # noqa: F811
    folder = tmp_path / "w"
    shutil.copytree(whole[0], folder)

    def full(arrays):
        raise MemoryError

    monkeypatch.setattr(checkpoint_files, "checksums", full)
    with pytest.raises(RunError, match=r"cannot be read \(out of memory"):
        run(folder)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["16", "24"]


# --- damage ---


@pytest.mark.parametrize("victim", ["state/manifest.ocdbt", "_CHECKPOINT_METADATA", "contents"])
def test_a_damaged_checkpoint_is_put_aside(whole, tmp_path, victim, capfd):  # noqa: F811
    folder = tmp_path / "w"
    shutil.copytree(whole[0], folder)
    path = folder / "checkpoints/24" / victim
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.write_bytes(path.read_bytes()[:5])
    before = contents(folder / "checkpoints/24")
    assert_whole(whole, folder, run(folder))
    told = capfd.readouterr().err
    if victim != "_CHECKPOINT_METADATA":  # which nothing needs
        assert "step 24 is damaged" in told and "put aside as damaged-24; the one before" in told
        names = {path.name for path in (folder / "checkpoints").iterdir()}
        assert names == {"16", "24", "damaged-24"}
        kept = contents(folder / "checkpoints/damaged-24")
        assert kept.keys() == before.keys()


def test_a_run_that_was_stopped_keeps_no_more_checkpoints(whole, tmp_path):  # noqa: F811
    for at in (8, 16, 24):

        def crash(params, step, at=at):
            if step == at:
                raise ZeroDivisionError
            return evaluate(params, step)

        with pytest.raises(ZeroDivisionError):
            run(tmp_path, evaluate=crash)
    outcome = run(tmp_path)
    assert_whole(whole, tmp_path, outcome)
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {path.name for path in (whole[0] / "checkpoints").iterdir()}


def test_all_checkpoints_are_damaged(whole, tmp_path, capfd):  # noqa: F811
    folder = tmp_path / "w"
    shutil.copytree(whole[0], folder)
    for step in (16, 24):
        (folder / f"checkpoints/{step}/state/manifest.ocdbt").write_bytes(b"x")
    assert_whole(whole, folder, run(folder))
    assert "put aside as damaged-16; training begins again" in capfd.readouterr().err
    (folder / "checkpoints/24/state/manifest.ocdbt").write_bytes(b"x")
    run(folder)
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert names == {"16", "24", "damaged-16", "damaged-24", "damaged-24-2"}


def test_the_best_one_is_damaged(whole, tmp_path):  # noqa: F811
    folder = tmp_path / "w"
    shutil.copytree(whole[0], folder)
    outcome = run(folder)
    (folder / f"checkpoints/{outcome.best}/state/manifest.ocdbt").write_bytes(b"x")
    with pytest.raises(RunError, match=r"the best one, is damaged .* --workdir=PATH") as error:
        outcome.restore(outcome.best)
    assert "\n" not in str(error.value)


# --- readers ---


def test_reading_changes_nothing_in_a_run_that_writes(whole, tmp_path):  # noqa: F811
    folder = tmp_path / "w"
    shutil.copytree(whole[0], folder)
    (folder / "checkpoints/28.orbax-checkpoint-tmp-1/state").mkdir(parents=True)
    before = contents(folder)
    reader = Checkpoints(folder / "checkpoints")
    state, note = reader.latest(like())
    assert reader.best(like()) is not None and note["best"]
    assert reader.restore(16, like()) and int(state.step) == 24
    read_parameters(folder / "checkpoints", "best", like().params)
    reader.close()
    assert contents(folder) == before
    Checkpoints(tmp_path / "none").close()
    assert not (tmp_path / "none").exists()


def test_the_same_command_after_the_end_changes_no_checkpoint(whole, tmp_path):  # noqa: F811
    folder = tmp_path / "w"
    shutil.copytree(whole[0], folder)
    before = contents(folder / "checkpoints")
    run(folder)
    assert contents(folder / "checkpoints") == before


# --- the best one ---


def growing(params, step):
    del params
    return {"distance": float(step)}


def test_the_network_as_it_was_drawn_can_be_the_best(tmp_path):
    outcome = run(tmp_path, evaluate=growing)
    drawn = like().params["w"]
    assert outcome.best == 0 and outcome.step == 24
    for again in (outcome, run(tmp_path, evaluate=growing)):
        np.testing.assert_array_equal(again.restore(0).params["w"], drawn)
    step, params = read_parameters(tmp_path / "checkpoints", "best", like().params)
    assert step == 0
    np.testing.assert_array_equal(params["w"], drawn)
    found = Checkpoints(tmp_path / "checkpoints").best(like())
    np.testing.assert_array_equal(found.params["w"], drawn)


def test_a_run_that_was_stopped_after_its_first_checkpoint(whole, tmp_path):  # noqa: F811
    def crash(params, step):
        if step == 8:
            raise ZeroDivisionError
        return evaluate(params, step)

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, evaluate=crash)
    assert [path.name for path in Path(tmp_path / "checkpoints").iterdir()] == ["0"]
    assert_whole(whole, tmp_path, run(tmp_path))
    steps = [row["step"] for row in log.read((tmp_path / log.METRICS).read_text(), "evaluation")]
    assert steps == [0, 8, 16, 24] and state_of(tmp_path)["state"] == "done"
    assert PLAN.best == "distance"
