"""Many runs as one table, also while they are in progress or damaged."""

import json
import pathlib
import warnings

import numpy as np
import pytest
import xarray as xr

import rnnlab
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.collect import CollectWarning
from tests.run import toy


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two finished runs and one that diverged, in the folder `runs`."""
    monkeypatch.chdir(tmp_path)
    folder = toy.write(tmp_path / "experiments")
    lists = ("--each.rate=0.5,0.25", "--config.lengths=5,6", "--loggers=", "--workdir=runs/good")
    assert toy.run(folder, *lists) == 0
    flags = ("--config.what=diverge", "--config.seed=1", "--loggers=", "--workdir=runs/bad")
    assert toy.run(folder, *flags) == 3
    yield tmp_path / "runs"
    toy.forget()


def untouched(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def test_a_row_for_each_run_with_what_differs_and_how_it_ended(runs):
    before = untouched(runs)
    frame = rnnlab.collect()
    assert list(frame.columns[:7]) == [
        *("workdir", "experiment", "state", "lengths", "what", "network.rate", "seed")
    ]
    assert frame.workdir.tolist() == ["runs/bad", "runs/good/rate=0.25", "runs/good/rate=0.5"]
    assert frame.state.tolist() == ["diverged", "done", "done"]
    assert frame["network.rate"].tolist() == [0.1, 0.25, 0.5]
    assert frame.lengths.tolist() == [(10, 20), (5, 6), (5, 6)]
    assert frame.step.tolist() == [2, 2, 2] and (frame.seconds >= 0).all()
    assert frame["train/loss"].tolist() == [0.05, 0.125, 0.25]
    assert frame["evaluation/validation"].tolist() == [3, 2, 2]
    assert frame["summary/test"].tolist()[1:] == [0.25, 0.5] and np.isnan(frame["summary/test"][0])
    assert "thorough" not in frame and frame.attrs["left_out"] == {}
    assert untouched(runs) == before


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ("runs/good/*", 2),
        ("runs/**/rate=*", 2),
        (["runs/good", "runs/bad", "runs/bad"], 3),
        (pathlib.Path("runs/bad"), 1),
    ],
)
def test_paths_folders_and_patterns(runs, given, count):
    frame = rnnlab.collect(given)
    assert len(frame) == count
    assert ("network.rate" in frame) == (count > 1)
    assert {"hidden", "network.layers"} <= {*rnnlab.collect(given, all_fields=True).columns}


def test_a_path_that_exists_is_no_pattern(runs):
    (runs / "bad").rename(runs / "lr[0.1]")
    assert len(rnnlab.collect("runs/lr[0.1]")) == 1


def test_metrics_over_steps(runs):
    frame = rnnlab.collect("runs/good", "metrics")
    assert len(frame) == 8 and {"seconds", "time", "network.rate"} <= {*frame.columns}
    train = frame[frame.group == "train"]
    assert train.pivot(index="step", columns="network.rate", values="loss").to_numpy().tolist() == [
        [0.25, 0.5],
        [0.125, 0.25],
    ]


def test_results_of_measurements(runs):
    for number, name in enumerate(("rate=0.25", "rate=0.5")):
        data = xr.Dataset({"growth": ("seed", [float(number), 3.0])}, {"seed": [0, 1]})
        results.save_dataset(data, runs / "good" / name / results.FILE)
    with pytest.warns(CollectWarning, match=r"left out runs/bad \(holds no results\.nc"):
        frame = rnnlab.collect("runs", "results")
    assert frame["network.rate"].tolist() == [0.25, 0.25, 0.5, 0.5]
    assert frame.growth.tolist() == [0.0, 3.0, 1.0, 3.0]


def test_a_population_has_a_row_for_each_training_and_member(runs):
    root = runs / "bad"
    (root / "metrics.jsonl").unlink()
    for name in ("adding", "copy"):
        (root / name).mkdir()
        rows = [{"step": step, "train": {"loss": [step, None], "rate": 1}} for step in (1, 2)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (root / name / "metrics.jsonl").write_text(text)
    frame = rnnlab.collect(root)
    assert frame.training.tolist() == ["adding", "adding", "copy", "copy"]
    assert frame.member.tolist() == [0, 1, 0, 1] and frame.step.tolist() == [2] * 4
    assert frame["train/loss"].isna().tolist() == [False, True] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(rnnlab.collect(runs)) == 6  # with runs that trained one network


def test_runs_in_progress_and_damage_are_no_obstacle(runs):
    with open(runs / "bad" / "metrics.jsonl", "a") as file:
        file.write('{"step": 3, "tra')  # it is being written
    (runs / "good" / "rate=0.5" / "config.json").write_text("{")
    (runs / "good" / "rate=0.25" / "metrics.jsonl").write_text("no JSON\n")
    (runs / "notes.txt").touch()
    (runs / "started").mkdir()
    (runs / "started" / "config.json").write_text('{"experiment": "toy", "config": {"seed": 2}}')
    with pytest.warns(CollectWarning) as caught:
        frame = rnnlab.collect(["runs/*", "absent"])
    assert frame.workdir.tolist() == ["runs/bad", "runs/started"]
    assert frame.step.tolist()[0] == 2 and frame.state.isna().tolist() == [False, True]
    left_out = frame.attrs["left_out"]
    good = ["runs/good/rate=0.25", "runs/good/rate=0.5"]
    assert list(left_out) == [*good, "runs/notes.txt", "absent"]
    assert "line 1 is damaged" in left_out["runs/good/rate=0.25"]
    assert "config.json: is damaged" in left_out["runs/good/rate=0.5"]
    assert left_out["runs/notes.txt"] == "is no folder" and left_out["absent"] == "does not exist"
    (warning,) = caught
    assert all(path in str(warning.message) for path in left_out)


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("metrics.jsonl", b"", ""),  # of a run that has just begun
        ("metrics.jsonl", b"\xff\xfe\n", "metrics.jsonl: is damaged"),
        ("metrics.jsonl", b"[" * 100_000 + b"\n", "metrics.jsonl: line 1 is damaged"),
        ("status.json", b"[" * 100_000, "status.json: is damaged"),
        ("config.json", b"[" * 100_000, "config.json: is damaged"),
    ],
)
def test_one_run_is_no_obstacle_to_the_others(runs, name, contents, reason):
    (runs / "bad" / name).write_bytes(contents)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollectWarning)
        frame = rnnlab.collect(runs)
    assert len(frame) == (2 if reason else 3)
    assert reason in frame.attrs["left_out"].get(str(runs / "bad"), "")


@pytest.mark.parametrize("given", [None, 3, [None], "a\0b", "x" * 5000])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(UsageError, match=r"^runs=.*: is no path or pattern"):
        rnnlab.collect(given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent",), r"runs=absent: no run there: absent \(does not exist\)"),
        (("experiments",), r"runs=experiments: no run there: experiments \(holds no config\.json"),
        (("nothing/*",), r"runs=nothing/\*: no run there$"),
        (("runs", "rows"), "what='rows': must be one of final, metrics, results"),
        (
            ("runs", "results"),
            r"no run there: runs/bad \(holds no results\.nc \(yet\)\), runs/good",
        ),
    ],
)
def test_nothing_found_is_an_error_that_says_why(runs, arguments, message):
    with pytest.raises(UsageError, match=message):
        rnnlab.collect(*arguments)
