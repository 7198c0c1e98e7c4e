"""What takes metrics besides `metrics.jsonl`: an own class, TensorBoard, faked services."""

import json
import pathlib
import sys
import types

import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.run import loggers
from rnnlab.run.workdir import open_workdir
from rnnlab.training.log import Log
from tests.run import toy
from tests.run.test_names import Config

OWN = """
class Lines:
    def __init__(self, workdir, step):
        self._file = open(workdir.path("lines.txt"), "a", encoding="utf-8")

    def write(self, step, group, values):
        print(step, group, values, file=self._file)

    def close(self):
        self._file.close()


class Broken(Lines):
    def write(self, step, group, values):
        raise ConnectionError("no route\\nto host")


class Unmade:
    def __init__(self, workdir, step):
        raise RuntimeError("no account")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_loggers.py").write_text(OWN)
    yield toy.write(tmp_path / "experiments")
    toy.forget()
    sys.modules.pop("my_loggers", None)


def test_tensorboard_is_the_default_and_can_be_left_out(folder):
    assert toy.run(folder, "--workdir=a") == 0 and list(pathlib.Path("a/tensorboard").iterdir())
    assert toy.run(folder, "--loggers=", "--workdir=b") == 0
    assert not pathlib.Path("b/tensorboard").exists()
    same = [pathlib.Path(root, "metrics.jsonl").read_bytes() for root in "ab"]
    assert same[0] == same[1] != b""


def test_an_own_logger_from_the_command_line(folder):
    assert toy.run(folder, "--loggers=my_loggers:Lines", "--workdir=w") == 0
    lines = pathlib.Path("w/lines.txt").read_text().splitlines()
    assert lines == [
        "1 train {'loss': 0.1}",
        "1 evaluation {'validation': 1}",
        "1 speed {'steps per second': 7.0}",
        "2 train {'loss': 0.05}",
        "2 evaluation {'validation': 2}",
        "2 speed {'steps per second': 7.0}",
    ]
    assert not pathlib.Path("w/tensorboard").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Broken", "ConnectionError: no route to host"), ("Unmade", "RuntimeError: no account")],
)
def test_a_logger_that_fails_is_left_out_and_the_run_goes_on(folder, capsys, name, reason):
    flag = f"--loggers=my_loggers:{name},my_loggers:Lines"
    assert toy.run(folder, flag, "--workdir=w") == 0
    assert len(pathlib.Path("w/lines.txt").read_text().splitlines()) == 6
    err = capsys.readouterr().err
    assert err.count("is left out") == 1
    assert (
        f"--loggers=my_loggers:{name}: failed and is left out, training goes on ({reason})" in err
    )


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("tensorbord", "logger='tensorbord': no such logger; did you mean tensorboard? known: "),
        ("my_logger:Lines", "logger='my_logger:Lines': no module named 'my_logger'; run from"),
        ("my_loggers:Line", "logger='my_loggers:Line': my_loggers has no logger called 'Line'"),
        ("wandb", "logger='wandb': the package wandb is not installed; run `python -m pip instal"),
        ("mlflow", "logger='mlflow': the package mlflow is not installed; run `python -m pip in"),
    ],
)
def test_a_logger_that_does_not_exist_is_one_line_before_anything_runs(
    folder, capsys, monkeypatch, flag, words
):
    for package in loggers.PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)
    assert toy.run(folder, f"--loggers={flag}") == 2
    assert capsys.readouterr().err.startswith(f"error: {words}")
    assert not pathlib.Path("runs").exists()


class Recorder:
    """Records the calls of a service."""

    def __init__(self):
        self.calls = []
        self.info = types.SimpleNamespace(run_id="r7")

    def __getattr__(self, name):
        def call(*arguments, **settings):
            self.calls.append((name, arguments, settings))
            return self

        return call


def logged(tmp_path, monkeypatch, name):
    """What a logger tells its service in two starts of one run."""
    service = Recorder()
    monkeypatch.setitem(sys.modules, name, service)
    for _ in range(2):
        with open_workdir(tmp_path / "w", "toy", Config()) as workdir:
            workdir.loggers = (name,)
            log = Log(workdir)
            log.write(3, "train", {"loss": np.array([1.0, 2.0, np.nan]), "‖g‖": np.nan})
            log.close()
    return service.calls


def test_weights_and_biases(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    first, row, end, again, *_ = logged(tmp_path, monkeypatch, "wandb")
    assert first[0] == "init" and first[2]["project"] == "mine"
    assert first[2]["config"]["network"] == {"rate": 0.1, "cell": "lstm"}
    assert row == ("log", ({"train/loss": 1.5},), {"step": 3})
    assert end[0] == "finish"
    assert again[2]["id"] == first[2]["id"] and again[2]["resume"] == "allow"


def test_mlflow(tmp_path, monkeypatch):
    calls = logged(tmp_path, monkeypatch, "mlflow")
    names = [name for name, _, _ in calls]
    assert names[:5] == ["set_experiment", "start_run", "log_params", "log_metrics", "end_run"]
    assert names[5:] == ["set_experiment", "start_run", "log_metrics", "end_run"]
    assert calls[2][1][0]["network.rate"] == 0.1
    assert calls[3][1:] == (({"train/loss": 1.5},), {"step": 3})
    assert calls[6][2] == {"run_id": "r7"}


def test_from_python_a_class_will_do(tmp_path):
    rows = []

    class Own:
        def __init__(self, workdir, step):
            rows.append((workdir.experiment, step))

        def write(self, step, group, values):
            rows.append((step, group, dict(values)))

        def close(self):
            rows.append("closed")

    with open_workdir(tmp_path / "w", "toy", Config()) as workdir:
        workdir.loggers = (Own,)
        log = Log(workdir.within("part"), json.dumps({"step": 4, "train": {}}) + "\n", 4)
        log.write(5, "train", {"loss": 2.0})
        log.close()
    assert rows == [("toy", 4), (5, "train", {"loss": 2.0}), "closed"]
    with pytest.raises(UsageError, match="no such logger"):
        loggers.by_name("none")
