"""Fields from a JSON file: what it may hold, what wins, and what is refused."""

import json
import pathlib

import pytest

from rnnlab.run import command_line, registry
from rnnlab.run.fields import to_json
from tests.run import toy


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield toy.write(tmp_path / "experiments")
    toy.forget()


def written(contents):
    text = contents if isinstance(contents, str) else json.dumps(contents)
    pathlib.Path("c.json").write_text(text)
    return "--config-file=c.json"


def config_of(folder, *arguments):
    settings = registry.find(folder, "toy").settings()
    return command_line.CommandLine(["run.py", *arguments]).config(settings)


@pytest.mark.parametrize(
    "contents",
    [
        {"hidden": 9, "network": {"rate": 2}, "lengths": [5, 6], "thorough": True},
        {"hidden": 9, "network.rate": 2.0, "lengths": [5, 6], "thorough": True},
        {"hidden": 9, "rate": 2.0, "lengths": [5, 6], "thorough": True},
    ],
)
def test_fields_have_the_names_that_flags_have(folder, contents):
    config = config_of(folder, written(contents), "--experiment=toy")
    assert (config.hidden, config.network.rate, config.network.layers) == (9, 2.0, 1)
    assert type(config.network.rate) is float
    assert (config.lengths, config.thorough) == ((5, 6), True)


def test_the_command_line_wins_over_the_file_and_the_file_over_the_preset(folder):
    flags = ("--experiment=toy", "--preset=tiny", written({"hidden": 9, "seed": 5}))
    config = config_of(folder, "--config.seed=6", *flags)
    assert (config.hidden, config.seed, config.lengths) == (9, 6, (3,))


def test_the_record_of_a_run_repeats_it(folder, capsys):
    arguments = ("--config.rate=0.25", "--config.lengths=", "--preset=large", "--loggers=")
    assert toy.run(folder, *arguments, "--workdir=w") == 0
    for file in ("w/config.json", "w"):
        again = config_of(folder, f"--config-file={file}")
        assert to_json(again) == json.loads(pathlib.Path("w/config.json").read_text())["config"]
    assert toy.run(folder, "--config-file=w", "--workdir=w", "--loggers=") == 0
    assert "(continued)" in capsys.readouterr().err
    line = command_line.CommandLine(["run.py", "--config-file=w/config.json"])
    assert line.experiment == "toy" and line.experiment_given


def test_a_byte_order_mark_is_no_part_of_the_file(folder):
    assert config_of(folder, written("\ufeff" + '{"hidden": 9}'), "--experiment=toy").hidden == 9


def test_only_final_values_are_checked(folder):
    assert config_of(folder, written({"hidden": 0}), "--config.hidden=3").hidden == 3


def test_lists_vary_fields_of_the_file(folder):
    file = written({"hidden": 9, "seed": 7})
    assert toy.run(folder, file, "--each.seed=1,2", "--workdir=w", "--loggers=") == 0
    records = [json.loads(path.read_text()) for path in pathlib.Path("w").glob("*/config.json")]
    assert sorted(r["config"]["seed"] for r in records) == [1, 2]
    assert all(r["config"]["hidden"] == 9 for r in records)


@pytest.mark.parametrize(
    ("contents", "line"),
    [
        ({"hiden": 3}, "hiden: no such field of toy; did you mean hidden? known: hidden, "),
        ({"network": {"rat": 3}}, "network.rat: no such field of toy; did you mean network.rate?"),
        ({"hidden": {"of": 3}}, "hidden.of: no such field of toy;"),
        ({"tiny": True}, "tiny: tiny is a preset; choose it with --preset=tiny"),
        ({"hidden": 2.5}, "hidden=2.5: must be an integer"),
        ({"hidden": True}, "hidden=true: must be an integer"),
        ({"hidden": None}, "hidden=null: must be an integer"),
        ({"network": 3}, "network: no such field of toy;"),
        ({"rate": "big"}, 'network.rate="big": must be a number'),
        ({"lengths": 5}, "lengths=5: must be a list, of integers"),
        ({"lengths": [5, "x"]}, 'lengths=[5, "x"]: must be a list, of integers'),
        ({"thorough": 1}, "thorough=1: must be true or false"),
        ({"rate": 1, "network": {"rate": 2}}, "sets network.rate twice; leave one of them"),
        ({"experiment": "other", "config": {}}, "is of the experiment other, not toy;"),
        ("[1]", "must hold a JSON object, with fields by name"),
        ("{", "is not JSON (Expecting property name"),
        ("[" * 100_000, "is nested too deeply"),
        ({"rate": 10**400}, "network.rate: must be of at most 64 bits"),
        ({"hidden": -(2**63)}, "hidden: must be of at most 64 bits"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(folder, capsys, contents, line):
    assert toy.run(folder, written(contents)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith(f"error: --config-file=c.json: {line}"), err
    assert not pathlib.Path("runs").exists()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("absent.json", "No such file or directory"),
        ("experiments", "No such file or directory: it holds no config.json"),
    ],
)
def test_a_file_that_cannot_be_read(folder, capsys, path, reason):
    assert toy.run(folder, f"--config-file={path}") == 2
    assert capsys.readouterr().err == f"error: --config-file={path}: {reason}\n"
