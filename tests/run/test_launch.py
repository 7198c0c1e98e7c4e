"""How a run begins, goes on and ends, with its exit codes and its work directory."""

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

from rnnlab.run import launch, sources
from tests.run import nested_toy
from tests.run.nested_toy import run

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    yield from nested_toy.folder(tmp_path, monkeypatch)


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


@pytest.mark.parametrize("what", ["memory", "device memory"])
def test_too_little_memory_is_one_line(folder, capsys, what):
    assert run(folder, f"--config.what={what}", "--config.hidden=64", "--workdir=w") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"error: out of memory: [\d,]+ GiB were asked for at once, and this mac", line)
    assert json.loads(pathlib.Path("w/status.json").read_text())["state"] == "failed"


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
