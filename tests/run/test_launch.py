"""The command line, with a toy experiment in a folder of its own."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from rnnlab.errors import RunError, UsageError
from rnnlab.run import command_line, launch, registry

ROOT = pathlib.Path(__file__).parents[2]

TOY = '''"""Does it run?

Second paragraph.
"""

import dataclasses
import time

import jax
import jax.numpy as jnp

from rnnlab.errors import RunError, UsageError


@dataclasses.dataclass(frozen=True)
class Config:
    """What to do."""

    #: Spectral radii, each above 0;
    #: any number of them.
    radii: tuple[float, ...] = (0.5, 1.0)
    #: Cells.
    cells: tuple[str, ...] = ("tanh",)
    hidden: int = 4
    #: Whether to be thorough.
    thorough: bool = False
    scale: float = 1.0
    #: What to do: end, wait, disk, network, diverge, bug.
    what: str = "end"

    def __post_init__(self):
        if self.hidden < 1:
            raise UsageError(f"hidden={self.hidden}: must be a positive integer")


def run(config, workdir):
    if config.what == "wait":
        workdir.write("waiting", f"{jnp.zeros(()).dtype} {jax.config.jax_numpy_dtype_promotion}")
        time.sleep(60)
    if config.what == "disk":
        raise OSError(28, "No space left on device", str(workdir.path("x")))
    if config.what == "network":
        raise RunError("corpus: no network;\\nput the file into PATH")
    if config.what == "diverge":
        workdir.set_state("diverged", "step 7")
    if config.what == "bug":
        raise ZeroDivisionError
    print("radii", config.radii)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of experiments; the current directory is beside it, and the process as it was."""
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "toy.py").write_text(TOY)
    (folder / "_helper.py").write_text("class Config: ...\ndef run(config, workdir): ...\n")
    (folder / "notes.py").write_text('"""Not an experiment: no run."""\n\nclass Config: ...\n')
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield folder
    signal.signal(signal.SIGTERM, handler)
    sys.modules.pop("experiments.toy", None)


def run(folder, *arguments):
    return launch.main(["run.py", "--experiment=toy", *arguments], folder)


def config_of(folder, *arguments):
    argv = ["run.py", "--experiment=toy", *arguments]
    module = registry.find(folder, "toy").load()
    return command_line.CommandLine(argv).config(module.Config)


def test_the_registry_is_the_folder(folder):
    found = registry.experiments(folder)
    assert list(found) == ["toy"]
    assert found["toy"].summary == "Does it run?"
    assert found["toy"].fields[0] == registry.Field(
        "radii",
        "tuple[float, ...]",
        "(0.5, 1.0)",
        "Spectral radii, each above 0; any number of them.",
    )
    assert found["toy"].fields[2].doc == ""


def test_list_and_help_do_not_import_the_experiment(folder, capsys):
    assert launch.main(["run.py", "--list"], folder) == 0
    assert capsys.readouterr().out == "  toy  Does it run?\n"
    assert launch.main(["run.py", "--help"], folder) == 0
    general = capsys.readouterr().out
    for words in ("--experiment=NAME", "--workdir=PATH", "--config.FIELD=VALUE", "--list", "toy"):
        assert words in general
    assert run(folder, "--help") == 0
    text = capsys.readouterr().out
    assert "Second paragraph." in text
    assert "--config.cells: tuple[str, ...] = ('tanh',)\n      Cells.\n" in text
    assert "experiments.toy" not in sys.modules


@pytest.mark.parametrize(
    ("argument", "field", "value"),
    [
        ("--config.radii=0.5,0.9,1.1", "radii", (0.5, 0.9, 1.1)),
        ("--config.radii=(1, 2.5)", "radii", (1.0, 2.5)),
        ("--config.radii=2", "radii", (2.0,)),
        ("--config.radii=", "radii", ()),
        ("--config.cells=tanh,lstm", "cells", ("tanh", "lstm")),
        ("--config.cells=['tanh', 'lstm',]", "cells", ("tanh", "lstm")),
        ("--config.hidden=12", "hidden", 12),
        ("--config.scale=1", "scale", 1.0),
        ("--config.scale=-2.5e-3", "scale", -2.5e-3),
        ("--config.thorough", "thorough", True),
        ("--config.thorough=true", "thorough", True),
        ("--noconfig.thorough", "thorough", False),
        ("--config.what=a=b, c", "what", "a=b, c"),
    ],
)
def test_values_become_what_their_field_is(folder, argument, field, value):
    config = config_of(folder, argument)
    found = getattr(config, field)
    assert found == value and type(found) is type(value)
    if isinstance(value, tuple):
        assert [type(v) for v in found] == [type(v) for v in value]
    others = {"radii": (0.5, 1.0), "cells": ("tanh",), "hidden": 4} | {field: value}
    assert (config.radii, config.cells, config.hidden) == tuple(
        others[name] for name in ("radii", "cells", "hidden")
    )


def test_values_may_stand_apart_and_the_last_one_counts(folder):
    arguments = ["--config.scale", "-5", "--config.hidden=7", "--config.hidden", "8"]
    config = config_of(folder, *arguments)
    assert (config.scale, config.hidden) == (-5.0, 8)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--experiment=toi"],
            "--experiment=toi: no such experiment; did you mean toy? known: toy",
        ),
        (
            ["--config.hiden=3"],
            "--config.hiden: no such field of toy; did you mean hidden? known: ra",
        ),
        (["--config.hidden=3.5"], "--config.hidden=3.5: must be an integer"),
        (["--config.scale=big"], "--config.scale=big: must be a number"),
        (["--config.thorough=maybe"], "--config.thorough=maybe: must be true or false"),
        (["--config.radii=0.5,,1"], "--config.radii=0.5,,1: must be a number (found nothing)"),
        (["--config.radii=0.5 0.9"], "--config.radii=0.5 0.9: must be a number"),
        (["--config.hidden=0"], "hidden=0: must be a positive integer"),
        (["--config.hidden"], "Missing value for flag --config.hidden"),
        (["--config=3"], "--config: no such flag"),
        (["--hidden=8"], "--hidden: no such flag; did you mean --config.hidden? known: --exper"),
        (["--wrkdir=x"], "--wrkdir: no such flag; did you mean --workdir?"),
        (["word"], "word: unexpected argument; flags are written --NAME=VALUE"),
        (["--list=3"], "--list"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(folder, capsys, arguments, line):
    assert run(folder, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"error: {line}")
    assert not pathlib.Path("runs").exists()


def test_the_same_command_continues_in_the_same_place(folder, capsys):
    for start in ("", " (continued)"):
        assert run(folder, "--config.radii=0.5") == 0
        out, err = capsys.readouterr()
        assert "radii (0.5,)" in out and "config.json  status.json" in out
        assert err.endswith(f"{start}\n")
    (root,) = pathlib.Path("runs").iterdir()
    assert str(root) in out
    assert run(folder, f"--workdir={root}") == 2
    assert "radii is [0.5] there and [0.5, 1.0] here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "words"),
    [("disk", "No space left on device: '"), ("network", "corpus: no network; put the file")],
)
def test_a_failure_is_one_line_and_exit_code_1(folder, capsys, what, words):
    assert run(folder, f"--config.what={what}", "--workdir=w") == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2 and err[1].startswith("error: ") and words in err[1]
    status = json.loads(pathlib.Path("w/status.json").read_text())
    assert status["state"] == "failed" and "Traceback" in status["traceback"]


def test_an_unusable_place_is_one_line_and_exit_code_1(folder, capsys):
    pathlib.Path("file").touch()
    assert run(folder, "--workdir=file/below") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_divergence_is_exit_code_3(folder, capsys):
    assert run(folder, "--config.what=diverge", "--workdir=w") == 3
    assert "diverged in" in capsys.readouterr().out


def test_a_bug_keeps_its_traceback(folder):
    with pytest.raises(ZeroDivisionError):
        run(folder, "--config.what=bug")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_is_one_line_and_the_run_can_be_continued(folder, number, code):
    shutil.copy(ROOT / "run.py", folder.parent)
    command = [sys.executable, "run.py", "--experiment=toy", "--config.what=wait", "--workdir=w"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    while process.poll() is None and not pathlib.Path("w/waiting").exists():
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err.splitlines()[1:] == [
        "interrupted; the same command continues where it stopped: python "
        "run.py --experiment=toy --config.what=wait --workdir=w"
    ]
    assert json.loads(pathlib.Path("w/status.json").read_text())["state"] == "interrupted"
    # 64-bit types and strict promotion were on; this process has them from conftest, that one not.
    assert pathlib.Path("w/waiting").read_text() == "float64 strict"


def test_importing_rnnlab_costs_no_more_than_jax():
    code = (
        "import jax, sys; before = set(sys.modules); import rnnlab;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    heavy = {
        "xarray",
        "pandas",
        "h5netcdf",
        "matplotlib",
        "tensorflow_datasets",
        "flax",
        "torch",
        "grain",
    }
    assert "rnnlab" in modules.stdout and not heavy & set(modules.stdout.split())


def test_unknown_names_without_a_near_one():
    error = registry.unknown("cells=x", "cell", "x", ["tanh", "lstm"])
    assert isinstance(error, UsageError) and not isinstance(error, RunError)
    assert str(error) == "cells=x: no such cell; known: tanh, lstm"
