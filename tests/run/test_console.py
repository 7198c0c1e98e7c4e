"""The command `rnnlab`, with the experiments that come with it and with a folder of one's own."""

import pathlib
import signal
import sys

import pytest

from rnnlab.run import launch, registry
from tests.run import toy


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder `my_lab` with an experiment that imports a module beside the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    toy.write(tmp_path / "my_lab")
    (tmp_path / "beside_my_lab.py").write_text("WHAT = 'end'\n")
    config = tmp_path / "my_lab" / "toy" / "config.py"
    config.write_text(
        "from beside_my_lab import WHAT\n" + config.read_text().replace('"end"', "WHAT")
    )
    yield tmp_path / "my_lab"
    toy.forget()
    sys.modules.pop("beside_my_lab", None)


def rnnlab(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/rnnlab", *arguments])
    handler = signal.getsignal(signal.SIGTERM)
    try:
        return launch.console()
    finally:
        signal.signal(signal.SIGTERM, handler)


def test_the_experiments_of_rnnlab_from_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert rnnlab(monkeypatch, "--list") == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in ("gradient_norms", "char_lm", "benchmark"))
    assert rnnlab(monkeypatch, "--help") == 0
    assert capsys.readouterr().out.startswith("usage: rnnlab [--experiment=NAME]")


def test_a_folder_of_experiments_of_ones_own(lab, monkeypatch, capsys):
    assert rnnlab(monkeypatch, "--experiments=my_lab", "--list") == 0
    assert capsys.readouterr().out == "  toy  Does it run?\n"
    flags = ("--experiments=my_lab", "--preset=tiny", "--loggers=")
    assert rnnlab(monkeypatch, *flags) == 0  # the only one need not be named
    assert rnnlab(monkeypatch, *flags, "--experiment=toy", "--each.seed=0,1") == 0
    assert len(list(pathlib.Path("runs").iterdir())) == 2
    assert "(continued)" in capsys.readouterr().err
    assert rnnlab(monkeypatch, *flags, "--experiment=gradient_norms") == 2
    assert "no such experiment; known: toy" in capsys.readouterr().err


def test_a_module_beside_the_folder_is_part_of_the_source(lab, monkeypatch, capsys):
    flags = ("--experiments=my_lab", "--loggers=")
    beside = lab.parent / "beside_my_lab.py"
    for text, code in ((beside.read_text(), 0), ("# again\nWHAT = 'end'\n", 2)):
        beside.write_text(text)
        assert rnnlab(monkeypatch, *flags) == code
        toy.forget()
        del sys.modules["beside_my_lab"]
    assert "the module beside_my_lab has changed since this run began" in capsys.readouterr().err


def test_of_several_experiments_one_is_named(lab, monkeypatch, capsys):
    (lab / "toy").rename(lab / "b")
    toy.write(lab)
    assert rnnlab(monkeypatch, "--experiments=my_lab", "--preset=tiny") == 2
    line = "error: --experiments=my_lab: choose --experiment=NAME, of b, toy\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("absent", "--experiments=absent: no such folder"),
        ("my_lab/toy", "--experiments=my_lab/toy: holds no experiment, which is a folder NAME/"),
    ],
)
def test_a_folder_without_experiments(lab, monkeypatch, capsys, path, line):
    assert rnnlab(monkeypatch, f"--experiments={path}") == 2
    assert capsys.readouterr().err.startswith(f"error: {line}")


def test_the_command_to_resume_is_the_one_that_was_given(lab, monkeypatch, capsys):
    flags = ("--experiments=my_lab", "--config.what=interrupt")
    assert rnnlab(monkeypatch, *flags) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == f"interrupted; rerun the same command to resume: rnnlab {' '.join(flags)}"


def test_experiments_lie_beside_the_checkout():
    assert registry.bundled() == pathlib.Path(__file__).parents[2] / "experiments"
