"""What the flags of an experiment mean, and which are refused."""

import json
import pathlib

import pytest

from rnnlab.errors import UsageError
from tests.run import nested_toy
from tests.run.nested_toy import config_of, run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    yield from nested_toy.folder(tmp_path, monkeypatch)


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
