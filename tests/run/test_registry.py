"""Which experiments there are, the help of each, and what importing costs."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from rnnlab.errors import RunError, UsageError
from rnnlab.run import launch, registry
from tests.run import nested_toy
from tests.run.nested_toy import run

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    yield from nested_toy.folder(tmp_path, monkeypatch)


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
