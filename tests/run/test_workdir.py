import dataclasses
import errno
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from rnnlab.errors import RunError, UsageError
from rnnlab.run import sources
from rnnlab.run.workdir import atomic_write, default_path, open_workdir


@dataclasses.dataclass(frozen=True)
class Config:
    radii: tuple[float, ...] = (0.5, 1.0)
    hidden: int = 8
    seed: int = 3


def status(root):
    return json.loads((root / "status.json").read_text())


def test_records_configuration_and_outcome(tmp_path):
    root = tmp_path / "new" / "w"
    with open_workdir(root, "toy", Config(), ["run.py"]) as workdir:
        assert status(root)["state"] == "running"
        assert workdir.write("x.txt", "é") == root / "x.txt"
    assert json.loads((root / "config.json").read_text()) == {
        "experiment": "toy",
        "config": {"radii": [0.5, 1.0], "hidden": 8, "seed": 3},
    }
    end = status(root)
    assert (end["state"], end["starts"], end["seed"], end["argv"]) == ("done", 1, 3, ["run.py"])
    assert {"rnnlab", "python", "jax", "optax", "orbax-checkpoint", "grain", "flax"} <= set(
        end["versions"]
    )
    assert end["device"]["count"] >= 1 and end["seconds"] >= 0 and end["ended"] >= end["started"]
    assert (root / "x.txt").read_bytes() == "é".encode()


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with open_workdir("~/a", "toy", Config()) as workdir:
        assert workdir.root == tmp_path / "a"
    assert not (tmp_path / "~").exists()
    with pytest.raises(UsageError, match="workdir=~nobody-here/a: there is no user"):
        open_workdir("~nobody-here/a", "toy", Config()).__enter__()


def test_the_same_configuration_reopens(tmp_path):
    for _ in range(2):
        with open_workdir(tmp_path, "toy", Config()) as workdir:
            pass
    assert workdir.status["starts"] == 2


@pytest.mark.parametrize(
    ("error", "state"),
    [(ValueError("x = 1"), "failed"), (KeyboardInterrupt(), "interrupted")],
)
def test_an_exception_is_recorded_and_goes_on(tmp_path, error, state):
    with pytest.raises(type(error)), open_workdir(tmp_path, "toy", Config()):
        raise error
    assert status(tmp_path)["state"] == state
    assert ("x = 1" in status(tmp_path).get("traceback", "")) == (state == "failed")


def test_a_run_can_end_diverged(tmp_path):
    with open_workdir(tmp_path, "toy", Config()) as workdir:
        workdir.end("diverged")
    assert status(tmp_path)["state"] == "diverged" and "ended" in status(tmp_path)


def test_another_configuration_is_refused(tmp_path):
    with open_workdir(tmp_path, "toy", Config()):
        pass
    before = (tmp_path / "config.json").read_bytes()
    other = Config(radii=(0.5,), hidden=9)
    with (
        pytest.raises(
            UsageError, match=r"radii is \[0.5, 1.0\] there and \[0.5\] here, hidden is 8"
        ),
        open_workdir(tmp_path, "toy", other),
    ):
        pass
    with pytest.raises(UsageError, match="experiment toy"), open_workdir(tmp_path, "b", Config()):
        pass
    assert (tmp_path / "config.json").read_bytes() == before
    assert status(tmp_path)["state"] == "done"


def test_nan_in_a_configuration_equals_itself(tmp_path):
    for _ in range(2):
        with open_workdir(tmp_path, "toy", Config(radii=(float("nan"),))):
            pass


@pytest.mark.parametrize("damage", ["", '{"experiment": "toy", "con', "[]", '{"config": 1}'])
def test_a_damaged_configuration_names_file_and_way_out(tmp_path, damage):
    (tmp_path / "config.json").write_text(damage)
    with (
        pytest.raises(RunError, match=r"config\.json: is damaged; delete the folder"),
        open_workdir(tmp_path, "toy", Config()),
    ):
        pass


def test_a_damaged_status_is_replaced(tmp_path):
    with open_workdir(tmp_path, "toy", Config()):
        pass
    (tmp_path / "status.json").write_text("{")
    with open_workdir(tmp_path, "toy", Config()):
        pass
    assert status(tmp_path)["state"] == "done"


def test_a_file_in_the_way_and_a_foreign_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match="cannot be used"), open_workdir(path, "toy", Config()):
            pass
    with pytest.raises(UsageError, match="holds file"), open_workdir(tmp_path, "toy", Config()):
        pass
    assert (tmp_path / "file").read_text() == "mine"


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, monkeypatch):
    atomic_write(tmp_path / "x", "old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left on device: .*x'"):
        atomic_write(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    with (
        pytest.raises(RunError, match=r"No space left on device.*--workdir"),
        open_workdir(tmp_path / "w", "toy", Config()),
    ):
        pass


def test_a_full_disk_does_not_hide_why_a_run_failed(tmp_path, monkeypatch):
    with pytest.raises(ZeroDivisionError), open_workdir(tmp_path, "toy", Config()):
        monkeypatch.setattr(os, "fsync", full_disk)
        raise ZeroDivisionError


HOLD = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_workdir import Config
from rnnlab.run.workdir import open_workdir
with open_workdir(sys.argv[1], "toy", Config()):
    print("open", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_and_kill_9_leaves_it_usable(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path), os.path.dirname(__file__)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        with (
            pytest.raises(UsageError, match=f"process {holder.pid} is working in it"),
            open_workdir(tmp_path, "toy", Config()),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
    assert status(tmp_path)["state"] == "running"
    with open_workdir(tmp_path, "toy", Config()) as workdir:
        assert workdir.status["starts"] == 2


def test_the_default_path_follows_the_configuration():
    path = default_path("toy", Config())
    assert path == default_path("toy", Config())
    assert path.parent.name == "runs" and path.name.startswith("toy-")
    assert path != default_path("toy", Config(hidden=9)) != default_path("b", Config(hidden=9))


# --- whose folder it is ---


@pytest.mark.parametrize("error", [UsageError("corpus=tpyo: no such file"), RunError("no network")])
def test_a_run_that_made_nothing_does_not_keep_the_folder(tmp_path, error):
    with pytest.raises(type(error)), open_workdir(tmp_path, "toy", Config(hidden=9)) as workdir:
        workdir.write("corpus.json", "of another text")
        workdir.write("metrics.jsonl", "")
        raise error
    assert status(tmp_path)["state"] == "failed"
    with open_workdir(tmp_path, "toy", Config()) as workdir:
        assert workdir.status["starts"] == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == [
        "config.json",
        "status.json",
    ]
    assert json.loads((tmp_path / "config.json").read_text())["config"]["hidden"] == 8


def test_a_run_that_failed_with_something_made_keeps_the_folder(tmp_path):
    with pytest.raises(RunError), open_workdir(tmp_path, "toy", Config(hidden=9)) as workdir:
        workdir.within("checkpoints/12").write("state", "x")
        raise RunError("disk")
    with pytest.raises(UsageError, match="hidden is 9"), open_workdir(tmp_path, "toy", Config()):
        pass
    assert (tmp_path / "checkpoints/12/state").exists()


def test_what_is_hidden_in_a_folder_stays(tmp_path):
    (tmp_path / ".git" / "refs").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("")
    with pytest.raises(RunError), open_workdir(tmp_path, "toy", Config(hidden=9)):
        raise RunError("no network")
    with open_workdir(tmp_path, "toy", Config()):
        pass
    assert (tmp_path / ".git" / "refs").is_dir() and (tmp_path / ".git" / "HEAD").exists()


def test_a_wrong_request_leaves_the_record_of_a_finished_run(tmp_path):
    with open_workdir(tmp_path, "toy", Config(), ["run.py", "as it was"]):
        pass
    before = (tmp_path / "status.json").read_bytes()
    with pytest.raises(UsageError), open_workdir(tmp_path, "toy", Config(), ["run.py", "now"]):
        raise UsageError("corpus=x: the text has changed since training began")
    assert (tmp_path / "status.json").read_bytes() == before


def test_a_record_that_cannot_be_read_is_not_taken_for_none(tmp_path, monkeypatch):
    with open_workdir(tmp_path, "toy", Config()):
        pass
    before = (tmp_path / "status.json").read_bytes()
    read = pathlib.Path.read_text

    def failing(path, *args, **kwargs):
        if path.name == "status.json":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return read(path, *args, **kwargs)

    monkeypatch.setattr(pathlib.Path, "read_text", failing)
    with (
        pytest.raises(RunError, match=r"cannot be used .*Too many open files"),
        open_workdir(tmp_path, "toy", Config()),
    ):
        pass
    assert (tmp_path / "status.json").read_bytes() == before


# --- what it depends on ---


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("rnnlab", r"rnnlab has changed \(from 1 to 2\)"),
        ("experiment", "the experiment has changed"),
        ("my_cells", "the module my_cells has changed"),
    ],
)
def test_numbers_of_other_source_code_are_refused(tmp_path, monkeypatch, changed, words):
    now = {"rnnlab": "1", "experiment": "1", "my_cells": "1"}
    monkeypatch.setattr(sources, "of", lambda config: dict(now))
    with open_workdir(tmp_path, "toy", Config()):
        pass
    before = (tmp_path / "status.json").read_bytes()
    now[changed] = "2"
    with (
        pytest.raises(UsageError, match=f"^--workdir=.*: {words} since .*--accept_changes$"),
        open_workdir(tmp_path, "toy", Config()),
    ):
        pass
    assert (tmp_path / "status.json").read_bytes() == before
    with open_workdir(tmp_path, "toy", Config(), accept_changes=True):
        pass
    with open_workdir(tmp_path, "toy", Config()):  # accepted once and for all
        pass
    (noted,) = status(tmp_path)["accepted"]
    assert "has changed" in noted and status(tmp_path)["sources"] == now


def test_a_run_that_made_nothing_begins_with_the_present_source_code(tmp_path, monkeypatch):
    now = {"rnnlab": "1"}
    monkeypatch.setattr(sources, "of", lambda config: dict(now))
    with pytest.raises(ZeroDivisionError), open_workdir(tmp_path, "toy", Config()):
        raise ZeroDivisionError
    now["rnnlab"] = "2"
    with open_workdir(tmp_path, "toy", Config()):
        pass
    assert status(tmp_path)["sources"] == now and "accepted" not in status(tmp_path)


def test_a_text_that_a_result_depends_on(tmp_path):
    def run(text, **settings):
        with open_workdir(tmp_path, "toy", Config(), **settings) as workdir:
            workdir.rely_on("inputs=a.txt", text)

    run(b"to be")
    run(b"to be")
    with pytest.raises(UsageError, match=r"inputs=a.txt has changed since .*--accept_changes$"):
        run(b"or not")
    assert status(tmp_path)["state"] == "done"
    run(b"or not", accept_changes=True)
    run(b"or not")
    assert len(status(tmp_path)["accepted"]) == 1
