"""Many runs from one command: which there are, where they lie, and how they end."""

import json
import pathlib

import pytest

from tests.run import toy


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield toy.write(tmp_path / "experiments")
    toy.forget()


def run(folder, *arguments):
    return toy.run(folder, "--loggers=", *arguments)


def status(root):
    return json.loads((root / "status.json").read_text())


def config(root):
    return json.loads((root / "config.json").read_text())["config"]


def test_there_is_a_run_for_each_combination_and_a_table(folder, capsys):
    assert run(folder, "--preset=tiny", "--each.seed=0,1,2", "--each.rate=0.5,0.25") == 0
    out, err = capsys.readouterr()
    roots = sorted(pathlib.Path("runs").iterdir())
    found = [(config(root)["seed"], config(root)["network"]["rate"]) for root in roots]
    assert sorted(found) == [(s, r) for s in (0, 1, 2) for r in (0.25, 0.5)]
    assert all(config(root)["hidden"] == 2 for root in roots)
    assert "run 6 of 6: seed=2 rate=0.25\n" in err
    table = out[out.index("All runs") :]
    assert all(word in table for word in ("seed", "rate", "state", "test", "0.25"))
    assert table.count("done") == 6


def test_each_is_the_run_of_an_ordinary_command_and_is_continued(folder, capsys):
    assert run(folder, "--each.hidden=8,16", "--config.seed=3") == 0
    assert run(folder, "--config.hidden=16", "--config.seed=3") == 0
    assert "(continued)" in capsys.readouterr().err
    first, second = sorted(pathlib.Path("runs").iterdir(), key=lambda root: config(root)["hidden"])
    assert (status(first)["starts"], status(second)["starts"]) == (1, 2)
    assert run(folder, "--each.hidden=8,16,32", "--config.seed=3") == 0
    assert [status(root)["starts"] for root in (first, second)] == [2, 3]
    *_, argument = status(first)["argv"]
    assert argument == "--config.hidden=8"  # what is recorded repeats this run alone


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ("end,diverge", 3),
        ("refuse,diverge,end", 2),
        ("refuse,network,diverge,end", 1),
        ("disk,end", 1),
        ("bug,end", 1),
        ("memory,end", 1),
    ],
)
def test_one_that_fails_stops_no_other(folder, capsys, ends, code):
    assert run(folder, f"--each.what={ends}", "--workdir=w") == code
    out, err = capsys.readouterr()
    for what in ends.split(","):
        root = pathlib.Path("w") / f"what={what}"
        expected = {"end": "done", "diverge": "diverged"}.get(what, "failed")
        assert status(root)["state"] == expected
        assert (f"error: what={what}: " in err) == (expected == "failed")
    assert ("Traceback" in err) == ("bug" in ends)
    assert out.count(" done ") == 1


def test_an_interruption_ends_all(folder, capsys):
    assert run(folder, "--each.what=end,interrupt,diverge", "--workdir=w") == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("interrupted; rerun the same command to resume: python run.py ")
    assert "--each.what=end,interrupt,diverge" in line
    states = {root.name: status(root)["state"] for root in pathlib.Path("w").iterdir()}
    assert states == {"what=end": "done", "what=interrupt": "interrupted"}


def test_a_task_is_one_of_them(folder, capsys):
    lists = ("--each.seed=5,6", "--each.what=end,diverge", "--workdir=w")
    assert [run(folder, *lists, f"--task={task}") for task in (3, 0)] == [3, 0]
    assert "All runs" not in capsys.readouterr().out
    roots = sorted(root.name for root in pathlib.Path("w").iterdir())
    assert roots == ["seed=5-what=end", "seed=6-what=diverge"]


@pytest.mark.parametrize(
    ("flag", "field", "values"),
    [
        ("--each.lengths=5;6,7", "lengths", [[5], [6, 7]]),
        ("--each.lengths=5,6;", "lengths", [[5, 6]]),
        ("--each.seed=[4, 5]", "seed", [4, 5]),
        ("--each.thorough=true,false", "thorough", [False, True]),
        ("--each.network.layers=2", "network", [{"rate": 0.1, "layers": 2}]),
        ("--each.what=a,b;c", "what", ["a,b", "c"]),
    ],
)
def test_values_of_a_list(folder, flag, field, values):
    assert run(folder, flag, "--workdir=w") == 0
    assert [config(root)[field] for root in sorted(pathlib.Path("w").iterdir())] == values


def test_flags_may_stand_apart(folder):
    assert run(folder, "--each.seed", "1,2", "--task", "1", "--workdir", "w") == 0
    assert [root.name for root in pathlib.Path("w").iterdir()] == ["seed=2"]


def test_folders_of_values_that_no_folder_can_be_named_after(folder):
    values = ["/a/x", "/b/x", "é*?[1]", "y" * 300]
    assert run(folder, f"--each.what={';'.join(values)}", "--workdir=w") == 0
    names = [root.name for root in pathlib.Path("w").iterdir()]
    assert len(names) == 4 and max(map(len, names)) < 100
    assert {config(root)["what"] for root in pathlib.Path("w").iterdir()} == set(values)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--each.sed=0,1"], "--each.sed: no such field of toy; did you mean seed? known: "),
        (["--each.seed=0,x"], "--config.seed=x: must be an integer"),
        (["--each.hidden=3,0"], "hidden=0: must be at least 1"),
        (["--each.seed=1,2,1"], "--each.seed=1,2,1: has '1' twice"),
        (["--each.rate=1,1.0"], "--each: rate=1 and rate=1.0 are the same run"),
        (["--each.seed="], "--each.seed=: needs values, separated by commas"),
        (["--each.seed"], "--each.seed=: needs values, separated by commas"),
        (["--each.lengths=5,6"], "--each.lengths=5,6: the field is a list itself; write lists wi"),
        (["--each.seed=1,2", "--each.seed=3"], "--each.seed: is given twice"),
        (
            ["--each.rate=1,2", "--each.network.rate=3"],
            "--each.network.rate: network.rate is set by another list, too",
        ),
        (
            ["--each.rate=1,2", "--config.network.rate=3"],
            "--each.rate: network.rate is set by --config, too; leave one of them",
        ),
        (["--each.seed=1,2", "--task=2"], "--task=2: there are 2 runs, 0 to 1"),
        (["--each.seed=1,2", "--task=-1"], "--task=-1: must be the number of a run, from 0"),
        (["--task=0"], "--task=0: numbers the runs of lists; needs --each.FIELD=VALUES"),
        (["--each.seed=1", "--mode=generate"], "--each: only with --mode=run"),
        (
            ["--each.seed=1", "--coordinator=a:1", "--host=0", "--hosts=2"],
            "--each: with --coordinator choose one of the runs, by --task=I",
        ),
        (
            ["--config.seed=1,2"],
            "--config.seed=1,2: must be an integer; for a run with each of these write --each.F",
        ),
    ],
)
def test_wrong_use_is_one_line_and_nothing_runs(folder, capsys, arguments, line):
    assert run(folder, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"error: {line}")
    assert not pathlib.Path("runs").exists()
