"""Finished runs put side by side: after a list of runs, and for work directories that exist."""

import json
import pathlib
import shutil

import pytest

from tests.run import toy

COMPARE = '''

def compare(runs, folder):
    """Names the runs and a number of each."""
    if any(run.config["what"] == "damaged" for run in runs):
        raise RunError("results of a run are damaged")
    lines = [f"{run.root.name} {run.config['seed']} {run.summary['test']}" for run in runs]
    (folder / "comparison.html").write_text("\\n".join(lines))
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = toy.write(tmp_path / "experiments")
    (folder / "toy" / "__init__.py").write_text(toy.PACKAGE + COMPARE)
    yield folder
    toy.forget()


def run(folder, *arguments):
    return toy.run(folder, "--loggers=", *arguments)


def page(folder):
    return (pathlib.Path(folder) / "comparison.html").read_text().splitlines()


def test_after_the_last_of_many_runs(folder, capsys):
    assert run(folder, "--each.seed=0,1", "--config.rate=0.5", "--workdir=w") == 0
    assert "\ncomparison: w/comparison.html\n" in capsys.readouterr().out
    assert page("w") == ["seed=0 0 0.5", "seed=1 1 0.5"]


def test_without_a_folder_it_has_one_of_its_own(folder, capsys):
    lists = ("--each.seed=0,1", "--each.rate=0.5,0.25")
    assert [run(folder, *lists), run(folder, *lists), run(folder, "--each.seed=0,1")] == [0, 0, 0]
    pages = sorted(pathlib.Path("runs").rglob("comparison.html"))
    assert sorted(len(page(one.parent)) for one in pages) == [2, 4]
    assert f"comparison: {pages[0]}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ends", "code", "there"), [("end,diverge", 3, False), ("end,x,diverge", 3, True)]
)
def test_only_what_is_done_is_compared(folder, ends, code, there):
    assert run(folder, f"--each.what={ends}", "--workdir=w") == code
    assert pathlib.Path("w/comparison.html").exists() == there
    assert not there or len(page("w")) == 2


def test_a_comparison_that_fails_is_told(folder, capsys):
    assert run(folder, "--each.what=end,damaged", "--workdir=w") == 1
    assert "error: comparison: results of a run are damaged" in capsys.readouterr().err
    assert run(folder, "--mode=compare", "--workdir=w") == 1
    assert capsys.readouterr().err == "error: results of a run are damaged\n"


def test_work_directories_that_exist(folder, capsys):
    """At any depth and behind links; others are named, and left as they are."""
    for number in (0, 1):
        assert run(folder, f"--config.seed={number}", f"--workdir=w/deep/{number}") == 0
    run(folder, "--config.what=diverge", "--workdir=w/diverged")
    run(folder, "--config.seed=2", "--workdir=elsewhere")
    pathlib.Path("w/linked").symlink_to(pathlib.Path("elsewhere").resolve())
    pathlib.Path("w/deep/round").symlink_to(pathlib.Path("w").resolve())
    shutil.copytree("elsewhere", "w/z")
    shutil.copytree("elsewhere", "w/other")
    record = {"experiment": "another", "config": {"seed": 0}}
    pathlib.Path("w/other/config.json").write_text(json.dumps(record))
    shutil.copytree("elsewhere", "w/torn")
    pathlib.Path("w/torn/summary.json").write_text("{")
    capsys.readouterr()
    assert run(folder, "--mode=compare", "--workdir=w") == 0
    out, err = capsys.readouterr()
    assert out == "comparison: w/comparison.html\n"
    assert [line.split()[0] for line in page("w")] == ["0", "1", "linked"]
    assert err.splitlines() == [
        "left out: w/diverged (is not done but diverged)",
        "left out: w/other (is a run of another)",
        "left out: w/torn (w/torn/summary.json: is damaged)",
        "left out: w/z (has the configuration of w/linked)",
    ]


def test_the_experiment_need_not_be_named(folder, capsys):
    from rnnlab.run import launch

    run(folder, "--workdir=w/0")
    capsys.readouterr()
    assert launch.main(["run.py", "--mode=compare", "--workdir=w"], folder) == 0
    assert page("w") == ["0 0 0.1"]
    pathlib.Path("w/1").mkdir()
    record = {"experiment": "another", "config": {}}
    pathlib.Path("w/1/config.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert launch.main(["run.py", "--mode=compare", "--workdir=w"], folder) == 2
    assert capsys.readouterr().err == (
        "error: --workdir=w: holds runs of several experiments; choose --experiment=another or "
        "--experiment=toy\n"
    )
    assert run(folder, "--mode=compare", "--workdir=w") == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "--mode=compare: needs --workdir=FOLDER, which holds the work directories of runs"),
        (["--workdir=nowhere"], "--workdir=nowhere: no such folder"),
        (["--workdir=empty"], "--workdir=empty: holds no finished run of toy: empty (holds no co"),
        (["--workdir=bad"], "--workdir=bad: holds no finished run of toy: bad/w (is not done but"),
        (["--workdir=bad/w"], "--workdir=bad/w: is the work directory of one run; give the folder"),
        (["--workdir=bad", "--config.seed=1"], "--mode=compare: takes runs as they are; leave"),
        (["--workdir=bad", "--preset=tiny"], "--mode=compare: takes runs as they are; leave"),
        (["--workdir=bad", "--input=x"], "--input: only with --mode=predict or --mode=show"),
        (["--workdir=bad", "--each.seed=1"], "--each: only with --mode=run"),
        (["--workdir=bad", "--sed=1"], "--sed: no such flag"),
        (["--workdir=plain"], "--mode=compare: toy offers no comparison; rnnlab.collect"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(folder, capsys, arguments, line):
    pathlib.Path("empty").mkdir()
    run(folder, "--config.what=diverge", "--workdir=bad/w")
    if arguments == ["--workdir=plain"]:
        (folder / "toy" / "__init__.py").write_text(toy.PACKAGE)
        toy.forget()
        run(folder, "--workdir=plain/w")
    capsys.readouterr()
    assert run(folder, "--mode=compare", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"error: {line}")
    assert not list(pathlib.Path.cwd().rglob("comparison.html"))
