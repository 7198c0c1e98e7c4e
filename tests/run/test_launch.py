"""The command line, with a toy experiment in a folder of its own."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from rnnlab.errors import RunError, UsageError
from rnnlab.run import command_line, launch, registry, sources

ROOT = pathlib.Path(__file__).parents[2]

PACKAGE = '''"""Does it run?

Second paragraph.
"""

import time

import jax
import jax.numpy as jnp

from experiments.toy.config import PRESETS, Config
from rnnlab.errors import RunError

__all__ = ["PRESETS", "Config", "run"]


def run(config, workdir):
    if config.what == "wait":
        workdir.write("waiting", f"{jnp.zeros(()).dtype} {jax.config.jax_numpy_dtype_promotion}")
        time.sleep(60)
    if config.what == "disk":
        raise OSError(28, "No space left on device", str(workdir.path("x")))
    if config.what == "network":
        raise RunError("corpus: no network;\\nput the file into PATH")
    if config.what == "bug":
        raise ZeroDivisionError
    if config.what == "memory":
        import numpy as np

        np.ones((config.hidden, 2**44))
    if config.what == "device memory":
        jax.jit(lambda: jnp.ones((config.hidden, 2**44)).sum(axis=0))()
    print("radii", config.radii)
    return "diverged" if config.what == "diverge" else None
'''

CONFIG = '''import dataclasses

from rnnlab.errors import UsageError

RADII = (0.5, 1.0)


@dataclasses.dataclass(frozen=True)
class Schedule:
    #: Updates.
    steps: int = 100
    #: Learning rate, highest
    #: of the schedule.
    rate: float = 0.1
    #: Whether it warms up.
    warm: bool = False

    def __post_init__(self):
        if self.warm and self.steps < 10:
            raise UsageError(f"steps={self.steps}: too few to warm up")


@dataclasses.dataclass(frozen=True)
class Longer(Schedule):
    steps: int = 1000


@dataclasses.dataclass(frozen=True)
class Network:
    #: Size of a step.
    rate: float = 1.0
    #: Layers.
    layers: int = 1


@dataclasses.dataclass(frozen=True)
class Config:
    """What to do."""

    #: Spectral radii, each above 0;
    #: any number of them.
    radii: tuple[float, ...] = RADII
    #: Cells.
    cells: tuple[str, ...] = ("tanh",)
    hidden: int = 4
    #: Whether to be thorough.
    thorough: bool = False
    scale: float = 1.0
    #: What to do: end, wait, disk, network, diverge, bug.
    what: str = "end"
    network: Network = Network()
    training: Schedule = Longer()
    seed: int = 7
    seeds: int = 2

    def __post_init__(self):
        if self.hidden < 1:
            raise UsageError(f"hidden={self.hidden}: must be a positive integer")


PRESETS = {
    "tiny": Config(hidden=2, training=Longer(steps=5)),
    "large": Config(radii=(0.5, 0.9), thorough=True),
}
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of experiments; the current directory is beside it, and the process as it was."""
    folder = tmp_path / "experiments"
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "__init__.py").write_text(PACKAGE)
    (folder / "toy" / "config.py").write_text(CONFIG)
    (folder / "notes").mkdir()
    (folder / "notes" / "__init__.py").write_text('"""Not an experiment: no Config."""')
    (folder / "notes" / "config.py").touch()
    (folder / "__pycache__").mkdir()
    (folder / "readme.txt").touch()
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield folder
    signal.signal(signal.SIGTERM, handler)
    for name in [name for name in sys.modules if name.startswith("experiments.toy")]:
        del sys.modules[name]


def run(folder, *arguments):
    return launch.main(["run.py", "--experiment=toy", *arguments], folder)


def config_of(folder, *arguments):
    argv = ["run.py", "--experiment=toy", *arguments]
    return command_line.CommandLine(argv).config(registry.find(folder, "toy").settings())


def test_the_registry_is_the_folder(folder):
    found = registry.experiments(folder)
    assert list(found) == ["toy"]
    assert found["toy"].summary == "Does it run?"


def test_the_package_and_its_settings_are_the_same_modules(folder):
    experiment = registry.find(folder, "toy")
    settings = experiment.settings()
    assert "experiments.toy" not in sys.modules
    package = experiment.load()
    assert package is sys.modules["experiments.toy"] is experiment.load()
    assert package.Config is settings.config_class is package.config.Config
    assert experiment.settings().config_class is package.Config


def test_a_folder_elsewhere_has_its_own_modules(folder, tmp_path):
    other = tmp_path / "other" / "experiments"
    shutil.copytree(folder, other)
    first, second = (registry.find(place, "toy").load() for place in (folder, other))
    assert first.__file__ != second.__file__
    assert first.Config is not second.Config


def test_a_package_that_cannot_be_imported_is_tried_again(folder):
    experiment = registry.find(folder, "toy")
    (folder / "toy" / "__init__.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        experiment.load()
    with pytest.raises(ZeroDivisionError):
        experiment.load()


def test_list_and_general_help_import_nothing_slow(folder):
    code = """
import pathlib, sys
from rnnlab.run import launch
launch.main(["run.py", sys.argv[1]], pathlib.Path("experiments"))
assert not {"jax", "pandas", "experiments.toy", "experiments.toy.config"} & set(sys.modules)
"""
    for flag in ("--list", "--help"):
        command = [sys.executable, "-c", code, flag]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        assert "  toy  Does it run?\n" in out.stdout


def test_general_help(folder, capsys):
    assert launch.main(["run.py", "--help"], folder) == 0
    general = capsys.readouterr().out
    for words in (
        "--experiment=NAME",
        "--preset=NAME",
        "--workdir=PATH",
        "--config.FIELD=VALUE",
        "--list",
        "toy",
    ):
        assert words in general


def test_help_of_an_experiment(folder, capsys):
    assert run(folder, "--help") == 0
    text = capsys.readouterr().out
    for words in (
        "Second paragraph.",
        "  --preset=tiny\n      hidden=2  training.steps=5\n",
        "  --preset=large\n      radii=0.5,0.9  thorough=true\n",
        "--config.radii: tuple[float, ...] = (0.5, 1.0)\n",
        "--config.cells: tuple[str, ...] = ('tanh',)\n      Cells.\n",
        "--config.network.rate: float = 1.0\n      Size of a step.\n",
        "--config.training.steps: int = 1000\n      Updates.\n",
        "--config.training.rate: float = 0.1\n      Learning rate, highest of the schedule.\n",
    ):
        assert words in text
    assert "experiments.toy" not in sys.modules


def test_an_unknown_format_of_pictures_is_refused(folder, capsys):
    assert run(folder, "--pictures=pdf,eps") == 2
    assert "error: --pictures=eps: pictures are written as png, pdf, svg" in capsys.readouterr().err


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
        ("--config.what=-hello", "what", "-hello"),
        ("--config.what=--list", "what", "--list"),
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


@pytest.mark.parametrize("name", ["training.steps", "steps"])
def test_nested_fields_have_full_and_short_names(folder, name):
    config = config_of(folder, f"--config.{name}=20")
    assert (config.training.steps, config.training.rate) == (20, 0.1)
    assert type(config.training).__name__ == "Longer"
    assert not config_of(folder, "--noconfig.warm").training.warm
    config = config_of(folder, "--config.steps", "20", "--config.training.warm")
    assert config.training.warm


def test_only_final_values_are_checked(folder):
    arguments = ["--config.warm", "--config.training.steps=3", "--config.steps=30"]
    assert config_of(folder, *arguments).training.steps == 30
    assert config_of(folder, "--preset=tiny", "--config.warm", "--config.steps=30").hidden == 2
    with pytest.raises(UsageError, match="steps=5: too few"):
        config_of(folder, "--preset=tiny", "--config.warm")


def test_a_given_field_wins_over_the_preset(folder):
    config = config_of(folder, "--preset=tiny")
    assert (config.hidden, config.training.steps) == (2, 5)
    config = config_of(folder, "--config.hidden=4", "--config.steps=1000", "--preset=tiny")
    assert (config.hidden, config.training.steps) == (4, 1000)  # the defaults
    config = config_of(folder, "--noconfig.thorough", "--preset=large")
    assert (config.radii, config.thorough) == ((0.5, 0.9), False)


def test_what_is_recorded_is_what_was_used(folder, capsys):
    assert run(folder, "--preset=tiny", "--config.rate=2") == 2
    assert "--config.rate: may mean network.rate or training.rate" in capsys.readouterr().err
    assert run(folder, "--preset=tiny", "--config.network.rate=2") == 0
    (root,) = pathlib.Path("runs").iterdir()
    recorded = json.loads((root / "config.json").read_text())["config"]
    assert (recorded["hidden"], recorded["network"]) == (2, {"rate": 2.0, "layers": 1})
    assert recorded["training"]["steps"] == 5
    status = json.loads((root / "status.json").read_text())
    assert (status["preset"], status["seed"], status["seeds"]) == ("tiny", 7, 2)
    assert run(folder, "--config.hidden=2", "--config.steps=5", "--config.network.rate=2") == 0
    assert len(list(pathlib.Path("runs").iterdir())) == 1  # the same values are the same run
    assert run(folder, f"--workdir={root}", "--preset=tiny") == 2
    assert "network.rate is 2.0 there and 1.0 here" in capsys.readouterr().err


def test_values_may_stand_apart_and_the_last_one_counts(folder):
    arguments = ["--config.scale", "-5", "--config.hidden=7", "--config.hidden", "8"]
    config = config_of(folder, *arguments)
    assert (config.scale, config.hidden) == (-5.0, 8)


def test_values_may_begin_with_a_dash(folder, capsys):
    assert config_of(folder, "--config.what", "-hello", "--config.thorough").what == "-hello"
    assert run(folder, "--config.thorough", "--config.what", "-hello", "--workdir", "-w") == 0
    recorded = json.loads(pathlib.Path("-w/config.json").read_text())["config"]
    assert (recorded["what"], recorded["thorough"]) == ("-hello", True)
    capsys.readouterr()
    assert run(folder, "--config.thorough", "--hiden=3") == 2
    assert "--hiden: no such flag; did you mean --config.hidden?" in capsys.readouterr().err


def test_a_path_may_begin_at_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent / "home"))
    assert run(folder, "--workdir=~/w") == 0 and run(folder, "--workdir", "~/w") == 0
    assert (folder.parent / "home/w/config.json").exists()
    assert not pathlib.Path("~").exists()


def test_no_folder_is_named_after_a_user_that_does_not_exist(folder, capsys):
    assert run(folder, "--workdir=~nobody-here/w") == 2
    assert "--workdir=~nobody-here/w: there is no user ~nobody-here" in capsys.readouterr().err
    assert not pathlib.Path("~nobody-here").exists()


@pytest.mark.parametrize("what", ["memory", "device memory"])
def test_too_little_memory_is_one_line(folder, capsys, what):
    assert run(folder, f"--config.what={what}", "--config.hidden=64", "--workdir=w") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"error: out of memory: [\d,]+ GiB were asked for at once, and this mac", line)
    assert json.loads(pathlib.Path("w/status.json").read_text())["state"] == "failed"


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
        (
            ["--config.stepps=3"],
            "--config.stepps: no such field of toy; did you mean training.steps? known: radii",
        ),
        (
            ["--config.rate=3"],
            "--config.rate: may mean network.rate or training.rate; write one of them in full",
        ),
        (
            ["--config.training=3"],
            "--config.training: no such field of toy; did you mean training.",
        ),
        (["--config.tiny=true"], "--config.tiny: tiny is a preset; choose it with --preset=tiny"),
        (["--config.large"], "--config.large: large is a preset; choose it with --preset=large"),
        (
            ["--preset=tinny"],
            "--preset=tinny: no such preset of toy; did you mean tiny? known: tiny, large",
        ),
        (["--config.steps=x"], "--config.training.steps=x: must be an integer"),
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
        (["toy"], "toy: unexpected argument; did you mean --experiment=toy?"),
        (["toi", "--config.no=1"], "toi: unexpected argument; did you mean --experiment=toy?"),
        (["--help", "toy"], "toy: unexpected argument; did you mean --experiment=toy?"),
        (["tiny"], "tiny: unexpected argument; did you mean --preset=tiny?"),
        (["--", "generat"], "generat: unexpected argument; did you mean --mode=generate?"),
        (["--config.thorough", "true"], "true: unexpected argument; flags are written"),
        (["--mode=generat"], "--mode=generat: no such mode; did you mean generate?"),
        (["--workdir="], "--workdir=: is empty; give a path, or leave the flag out"),
        (["--config.seed=9223372036854775808"], "--config.seed=9223372036854775808: must be an in"),
        (["--config.hidden=" + "9" * 5000], "--config.hidden=999"),
        (["--coordinator=a:1", "--hosts=9999999999", "--host=0"], "--host=0, --hosts=9999999999: "),
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
        "interrupted; rerun the same command to resume: python "
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


# --- work directories ---


def test_a_work_directory_alone_goes_on(folder, capsys):
    assert run(folder, "--preset=large", "--config.network.rate=2", "--workdir=w") == 0
    before = pathlib.Path("w/config.json").read_bytes()
    assert launch.main(["run.py", "--workdir=w"], folder) == 0
    assert "radii (0.5, 0.9)" in capsys.readouterr().out
    status = json.loads(pathlib.Path("w/status.json").read_text())
    assert pathlib.Path("w/config.json").read_bytes() == before and status["starts"] == 2
    assert launch.main(["run.py", "--workdir=w", "--mode=run"], folder) == 0
    assert launch.main(["run.py", "--workdir=w", "--config.hidden=5"], folder) == 2
    assert "--workdir=w: holds another configuration (radii is" in capsys.readouterr().err
    assert launch.main(["run.py", "--workdir=w", "--wrong"], folder) == 2
    assert launch.main(["run.py", "--workdir=nowhere"], folder) == 2
    assert "--experiment=gradient_norms: no such experiment" in capsys.readouterr().err


def test_a_record_that_this_version_does_not_understand(folder, capsys):
    assert run(folder, "--workdir=w") == 0
    record = json.loads(pathlib.Path("w/config.json").read_text())
    record["config"]["depth"] = 3
    pathlib.Path("w/config.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert launch.main(["run.py", "--workdir=w"], folder) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "w/config.json: depth: no such field of toy" in line


@pytest.mark.parametrize("what", ["typo", "network"])
def test_the_corrected_command_gets_the_folder(folder, what):
    with open(folder / "toy" / "__init__.py", "a") as file:
        file.write(
            "\n\nrun_it = run\n\n\ndef run(config, workdir):\n"
            "    from rnnlab.errors import UsageError\n"
            "    if config.what == 'typo':\n        raise UsageError('corpus=tpyo: no such file')\n"
            "    return run_it(config, workdir)\n"
        )
    assert run(folder, f"--config.what={what}", "--workdir=w") in (1, 2)
    assert run(folder, "--workdir=w") == 0
    status = json.loads(pathlib.Path("w/status.json").read_text())
    assert (status["state"], status["starts"]) == ("done", 1)


def test_an_experiment_that_was_changed_is_refused_and_can_be_accepted(folder, capsys, monkeypatch):
    assert run(folder, "--workdir=w") == 0
    before = pathlib.Path("w/status.json").read_bytes()
    with open(folder / "toy" / "__init__.py", "a") as file:
        file.write("\n# changed\n")
    sources._of_folder.cache_clear()  # as in another process
    capsys.readouterr()
    assert run(folder, "--workdir=w") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--workdir=w: the experiment has changed" in line and "--accept_changes" in line
    assert pathlib.Path("w/status.json").read_bytes() == before
    assert run(folder, "--workdir=w", "--accept_changes") == 0
    assert run(folder, "--workdir=w") == 0
    (noted,) = json.loads(pathlib.Path("w/status.json").read_text())["accepted"]
    assert "the experiment has changed" in noted
