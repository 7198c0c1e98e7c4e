"""Standard output and error that are closed, full, of few characters, or without a reader."""

import errno
import json
import os
import pathlib
import subprocess
import sys

import pytest

from rnnlab.errors import RunError, UsageError
from rnnlab.run import streams
from rnnlab.run.command_line import CommandLine
from rnnlab.run.progress import Progress
from rnnlab.run.tables import print_table

ROOT = pathlib.Path(__file__).parents[2]
#: Where writing fails as on a full disk; not on every system.
FULL = pathlib.Path("/dev/full")

#: What a run does with its streams, without the time that JAX takes to be imported.
RUN = """
import pathlib, sys
from rnnlab.run import streams
from rnnlab.run.progress import Progress
streams.prepare()
with streams.guarded() as out, Progress("run", 2) as bar:
    print("sample \\U0001f600 \\udcff " + "x" * 100_000)
    bar.advance()
    print("‖∂L/∂s‖", flush=True)
pathlib.Path("done").write_text(str(out.error))
streams.settle()
"""


def shell(folder, code, redirections, **environment):
    """Runs Python code with a shell's redirections."""
    (folder / "script.py").write_text(code, encoding="utf-8")
    return command(folder, f"script.py {redirections}", **environment)


def command(folder, arguments, **environment):
    """Runs Python with arguments that a shell reads."""
    return subprocess.run(
        f"{sys.executable} {arguments}",
        shell=True,
        cwd=folder,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        executable="/bin/bash",
    )


@pytest.mark.parametrize(
    ("redirections", "error"),
    [
        (">&-", "None"),
        ("2>&-", "None"),
        (">&- 2>&- <&-", "None"),
        ("| head -c 5; exit ${PIPESTATUS[0]}", "Broken pipe"),
        ("2>&1 | true; exit ${PIPESTATUS[0]}", "Broken pipe"),
        (f"> {FULL}", "No space left"),
        (f"2> {FULL}", "None"),
    ],
)
def test_no_stream_ends_a_run(tmp_path, redirections, error):
    if str(FULL) in redirections and not FULL.exists():
        pytest.skip("this system has no such device")
    ended = shell(tmp_path, RUN, redirections)
    assert ended.returncode == 0 and b"Traceback" not in ended.stderr
    assert error in (tmp_path / "done").read_text()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_character_can_be_printed(tmp_path, encoding):
    ended = shell(tmp_path, RUN, "", PYTHONIOENCODING=encoding)
    assert ended.returncode == 0 and b"Traceback" not in ended.stderr
    first = b"\\U0001f600" if encoding != "utf-8" else "\U0001f600".encode()
    assert ended.stdout.startswith(b"sample " + first + b" \\udcff xxx")


def test_files_do_not_get_the_numbers_of_closed_streams(tmp_path):
    code = """
import os
from rnnlab.run import streams
streams.prepare()
with open("data", "w") as file:
    os.write(2, b"a message of a library")
    file.write(str(file.fileno()))
"""
    assert shell(tmp_path, code, ">&- 2>&-").returncode == 0
    assert int((tmp_path / "data").read_text()) > 2


class Full:
    """A stream on a full disk."""

    def __init__(self, number=errno.ENOSPC):
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))

    def flush(self):
        pass


@pytest.mark.parametrize(("number", "lost"), [(errno.ENOSPC, True), (errno.EPIPE, False)])
def test_only_output_that_is_lost_is_an_error(monkeypatch, number, lost):
    monkeypatch.setattr(sys, "stdout", Full(number))
    with streams.guarded() as out:
        print("a table")
    assert sys.stdout is not out
    if not lost:
        streams.require_written(out)
        return
    with pytest.raises(RunError, match=r"^standard output: No space left on device; the run has"):
        streams.require_written(out)


def test_a_process_without_streams_can_use_the_library(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with Progress("training", 2) as bar:
        bar.advance(2)
    print_table([{"a": 1}])


@pytest.mark.parametrize("columns", ["1", "7", "20"])
def test_a_narrow_terminal(monkeypatch, capsys, columns):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    print_table([{f"column {n}": n / 7 for n in range(9)}], title="what the columns are")
    assert capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirections", "code"),
    [
        (">&- 2>&-", 0),
        ("| head -c 5; exit ${PIPESTATUS[0]}", 0),
        (f"> {FULL}", 1),
        ("", 0),
    ],
)
def test_a_run_is_kept_whatever_its_output(tmp_path, redirections, code):
    (tmp_path / "corpus.txt").write_text("to be \U0001f600 or not\n" * 200, encoding="utf-8")
    flags = "--experiment=char_lm --preset=tiny --config.hidden=8 --config.steps=20 "
    flags += "--config.warmup=5 --config.samples=10 --config.corpus=corpus.txt --workdir=w"
    arguments = f"{ROOT / 'run.py'} {flags} {redirections}"
    ended = command(tmp_path, arguments, PYTHONIOENCODING="ascii")
    assert ended.returncode == code and b"Traceback" not in ended.stderr
    status = json.loads((tmp_path / "w/status.json").read_text())
    assert status["state"] == "done" and (tmp_path / "w/report.html").exists()
    if code:
        assert ended.stderr.splitlines()[-1].startswith(b"error: standard output: No space left")


def test_an_argument_that_is_no_text_is_refused():
    with pytest.raises(UsageError, match=r"^'--workdir=\\udcff': is not UTF-8"):
        CommandLine(["run.py", "--workdir=\udcff"])


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, 20, 60, 100])
def test_a_full_disk_is_one_line(tmp_path, size):
    flags = "--experiment=char_lm --preset=tiny --config.steps=20 --config.warmup=5 --workdir=w"
    limited = f"ulimit -f {size}; {sys.executable} {ROOT / 'run.py'} {flags}"  # KiB of a file
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    ended = subprocess.run(
        ["/bin/bash", "-c", limited], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert ended.returncode == 1
    notices = ("char_lm: ", "--loggers=tensorboard: ")
    lines = [line for line in ended.stderr.splitlines() if not line.startswith(notices)]
    assert len(lines) == 1 and lines[0].startswith("error: ")
    if size >= 20:
        assert "a checkpoint cannot be written" in lines[0]
