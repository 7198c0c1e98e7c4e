"""Asking a trained model from the command line; the model is a toy here."""

import io
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

import rnnlab
from rnnlab.errors import UsageError
from rnnlab.run import launch, modes, registry
from rnnlab.run.workdir import default_path, open_workdir

CONFIG = """import dataclasses

@dataclasses.dataclass(frozen=True)
class Config:
    hidden: int = 4

PRESETS = {"tiny": Config(hidden=2)}
"""


class Model:
    def __init__(self, path):
        self.path = path

    def stream(self, prompt, temperature, top_k, seed, *, top_p):
        if prompt == "?":
            raise UsageError("prompt='?': has '?', which the model does not know")
        return itertools.chain(
            [prompt, f"{temperature} {top_k} {top_p} {seed} "], map(str, itertools.count())
        )

    def predict(self, lines):
        for line in lines:
            if "?" in line:
                raise UsageError(f"line={line!r}: has '?', which the model does not know")
        return [{"line": line, "answer": line.upper(), "of": len(lines)} for line in lines]

    def show(self, line, path):
        path.write_text(line, encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of experiments beside a finished run that nobody may write to."""
    folder = tmp_path / "experiments"
    (folder / "toy_model").mkdir(parents=True)
    (folder / "toy_model" / "__init__.py").write_text("1 / 0")  # it is not needed
    (folder / "toy_model" / "config.py").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rnnlab, "load", Model, raising=False)
    settings = registry.find(folder, "toy_model").settings()
    for config in (settings.base(None), settings.base("tiny")):
        path = default_path("toy_model", config, settings.presets)
        with open_workdir(path, "toy_model", config, ["run.py", "as trained"]):
            pass
    tiny = default_path("toy_model", settings.base("tiny"), settings.presets)
    (tmp_path / "w").symlink_to(tiny)
    yield folder
    for name in [name for name in sys.modules if name.startswith("experiments.toy_model")]:
        del sys.modules[name]


def run(folder, *arguments):
    return launch.main(["run.py", *arguments], folder)


def contents(root):
    return {
        path.relative_to(root): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    "place",
    [
        ["--workdir=w"],
        ["--experiment=toy_model", "--preset=tiny"],
        ["--experiment=toy_model", "--config.hidden=2"],
        ["--experiment=toy_model", "--config.hidden=4"],
        ["--experiment=toy_model", "--workdir=w"],
        ["--experiment=toy_model", "--workdir=w", "--preset=tiny"],
        ["--workdir=w", "--config.hidden=2"],
    ],
)
def test_generating_leaves_the_record_untouched(folder, capsys, place):
    before = contents(folder.parent)
    arguments = [
        "--mode=generate",
        "--prompt=Ab ",
        "--count=3",
        "--top_k=5",
        "--top_p=0.9",
        "--draw=7",
    ]
    assert run(folder, *place, *arguments) == 0
    assert capsys.readouterr().out == "Ab 1.0 5 0.9 7 01\n"
    assert contents(folder.parent) == before


def test_a_folder_that_can_only_be_read(folder):
    root = pathlib.Path("w").resolve()
    before = contents(folder.parent)
    places = [root, *root.rglob("*")]
    for path in places:
        path.chmod(0o555 if path.is_dir() else 0o444)
    command = [sys.executable, "-c", ASK, "--workdir=w", "--mode=generate", "--count=2"]
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
            capture_output=True,
        )
    finally:
        for path in places:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"1.0 0 1.0 0 0\n" and done.stderr == b"False\n"
    assert contents(folder.parent) == before


#: Root obeys the permissions of files in a program that is started without CAP_DAC_OVERRIDE.
ASK = """
import ctypes, os, pathlib, sys
if os.getuid() == 0 and "DROPPED" not in os.environ:
    os.environ["DROPPED"] = "yes"
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    os.execv(sys.executable, sys.orig_argv)
import rnnlab
from rnnlab.run import launch
from tests.run.test_modes import Model
rnnlab.load = Model
print(os.access("w", os.W_OK), file=sys.stderr)
sys.exit(launch.main(sys.argv, pathlib.Path("experiments")))
"""


def test_a_reader_that_stops_reading_is_one_line(folder, tmp_path):
    code = """
import pathlib, sys
import rnnlab
from rnnlab.run import launch
from tests.run.test_modes import Model
rnnlab.load = Model
sys.exit(launch.main(sys.argv, pathlib.Path("experiments")))
"""
    command = [sys.executable, "-c", code, "--workdir=w", "--mode=generate", "--count=1000000"]
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b"error: nobody reads the standard output any more\n"
    assert process.returncode == 1


def stdin(monkeypatch, data):
    """Standard input of these bytes, in an encoding that must not matter."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))


def test_each_line_of_a_file_is_answered(folder, capsys):
    pathlib.Path("lines").write_text("".join(f"é{n}\n" for n in range(70)), encoding="utf-8")
    assert run(folder, "--workdir=w", "--mode=predict", "--input=lines") == 0
    assert capsys.readouterr().out == "".join(f"É{n}\n" for n in range(70))
    assert run(folder, "--workdir=w", "--mode=predict", "--input=lines", "--scores") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["line"] for answer in answers] == [f"é{n}" for n in range(70)]
    assert [answer["of"] for answer in answers] == [64] * 64 + [6] * 6


@pytest.mark.parametrize("flags", [[], ["--input=-"]])
def test_each_line_of_standard_input_is_answered(folder, capsys, monkeypatch, flags):
    stdin(monkeypatch, b"a\n\nb")
    assert run(folder, "--workdir=w", "--mode=predict", *flags) == 0
    assert capsys.readouterr().out == "A\n\nB\n"


def test_a_line_is_answered_before_the_next_one_is_waited_for(monkeypatch):
    asked, ask = os.pipe()
    said, say = os.pipe()
    with (
        open(asked, encoding="utf-8") as stdin,
        open(say, "w", encoding="utf-8") as stdout,
        open(ask, "wb", buffering=0) as question,
        open(said, "rb") as answers,
    ):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        answering = threading.Thread(target=modes.Predict().ask, args=(Model(""),))
        answering.start()
        for lines in (b"a\n", b"b\r\n", b"c\nd\n"):
            question.write(lines)
            for line in lines.split():
                assert answers.readline() == line.upper() + b"\n"
        question.close()
        answering.join()


def test_lines_of_any_length_and_bytes(folder, capsys, monkeypatch):
    long = "wort " * 40_000
    data = b"\xef\xbb\xbfa\r\n\xef\xbb\xbfb\n" + long.encode() + "\n\U0001f600 字\r".encode()
    stdin(monkeypatch, data + b"\xff1\n\xff2\n")
    assert run(folder, "--workdir=w", "--mode=predict", "--scores") == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line)["line"] for line in out.splitlines()]
    assert lines == ["a", "\ufeffb", long, "\U0001f600 字", "�1", "�2"]
    assert err == "warning: --input=-: bytes that are not UTF-8 are read as �\n"
    stdin(monkeypatch, b"")
    assert run(folder, "--workdir=w", "--mode=predict") == 0
    assert capsys.readouterr() == ("", "")


def test_a_line_that_cannot_be_read_does_not_keep_the_others_from_being_answered(folder, capsys):
    pathlib.Path("lines").write_text("a\nb?\nc\n?\nd\n" + "e\n" * 70)
    assert run(folder, "--workdir=w", "--mode=predict", "--input=lines") == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == ["A", "", "C", "", "D", *["E"] * 70]
    assert err.splitlines() == [
        "error: line 2: line='b?': has '?', which the model does not know",
        "error: line 4: line='?': has '?', which the model does not know",
        "error: 2 of 75 lines have no answer",
    ]
    assert run(folder, "--workdir=w", "--mode=predict", "--input=lines", "--scores") == 1
    second = json.loads(capsys.readouterr().out.splitlines()[1])
    assert second == {"line": "b?", "error": "line='b?': has '?', which the model does not know"}


def test_an_answer_that_is_interrupted_has_nothing_to_resume(folder, capsys, monkeypatch):
    stdin(monkeypatch, b"a\n")
    monkeypatch.setattr(Model, "predict", lambda *_: signal.raise_signal(signal.SIGINT))
    assert run(folder, "--workdir=w", "--mode=predict") == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_a_picture_of_one_line(folder, capsys, monkeypatch):
    pathlib.Path("lines").write_bytes(b"\xef\xbb\xbffrom a file\r\nsecond\n")
    for given, line in (("lines", "from a file"), ("a text " * 100, "a text " * 100)):
        assert run(folder, "--workdir=w", "--mode=show", f"--input={given}") == 0
        assert capsys.readouterr().out == "shown.png\n"
        assert pathlib.Path("shown.png").read_text() == line
    assert run(folder, "--workdir=w", "--mode=show", "--input=x", "--output=a.svg") == 0
    assert pathlib.Path("a.svg").exists()
    stdin(monkeypatch, b"from standard input\nsecond\n")
    assert run(folder, "--workdir=w", "--mode=show", "--input=-") == 0
    assert pathlib.Path("shown.png").read_text() == "from standard input"


@pytest.mark.parametrize("prompt", [["--prompt=-hello"], ["--prompt", "-hello"]])
def test_a_prompt_may_begin_with_a_dash(folder, capsys, prompt):
    assert run(folder, "--workdir=w", "--mode=generate", *prompt, "--count=1") == 0
    assert capsys.readouterr().out.startswith("-hello")


def test_the_lines_may_lie_at_home(folder, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    pathlib.Path("lines").write_bytes(b"a\r\nb\rc\xe2\x80\xa8d")
    assert run(folder, "--workdir=~/w", "--mode=predict", "--input=~/lines", "--scores") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["line"] for answer in answers] == ["a", "b", "c\u2028d"]


def test_a_model_that_cannot_do_it_says_so(folder, capsys, monkeypatch):
    monkeypatch.setattr(rnnlab, "load", lambda path: object())
    refusals = {"generate": "writes no text", "predict": "answers no lines"}
    for mode, words in (refusals | {"show": "draws no lines"}).items():
        assert run(folder, "--workdir=w", f"--mode={mode}") == 2
        assert capsys.readouterr().err == f"error: --mode={mode}: a object {words}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--mode=write"],
            "--mode=write: no such mode; known: run, generate, predict, show, compare",
        ),
        (["--mode=generate"], "--mode=generate: needs --workdir=PATH, or --experiment=NAME"),
        (["--prompt=x"], "--prompt: only with --mode=generate"),
        (["--workdir=w", "--draw=0"], "--draw: only with --mode=generate"),
        (["--mode=predict", "--count=3"], "--count: only with --mode=generate"),
        (["--mode=generate", "--input=x"], "--input: only with --mode=predict or "),
        (["--mode=predict", "--output=x.png"], "--output: only with --mode=show"),
        (["--mode=show", "--scores"], "--scores: only with --mode=predict"),
        (["--mode=show", "--workdir=w"], "--mode=show: needs --input=TEXT, or --input=FILE"),
        (["--mode=show", "--workdir=w", "--input=."], "--input=.: is a directory"),
        (
            ["--mode=show", "--workdir=w", "--input=x", "--output=nowhere/x.png"],
            "--output=nowhere/x.png: No such file or directory",
        ),
        (["--mode=show", "--output=x.txt"], "--output=x.txt: pictures are written as png, pdf"),
        (["--mode=generate", "--count=0"], "--count=0: must be at least 1"),
        (["--mode=generate", "--count=x"], "--count=x: "),
        (["--mode=generate", "--count=2147483648"], "--count=2147483648: must be below 2^31"),
        (["--mode=generate", "--draw=99999999999"], "--draw=99999999999: must be below 2^31"),
        (["--mode=generate", "--temperature=nan"], "--temperature=nan: must be at least 0, and fi"),
        (["--mode=generate", "--temperature=inf"], "--temperature=inf: must be at least 0, and fi"),
        (["--mode=generate", "--top_p=0"], "--top_p=0.0: must be above 0 and at most 1"),
        (["--mode=generate", "--workdir=w", "--promt=x"], "--promt: no such flag; did you mean"),
        (["--mode=generate", "--workdir=w", "word"], "word: unexpected argument"),
        (["--mode=generate", "--workdir=w", "--prompt=?"], "prompt='?': has '?', which the"),
        (["--mode=predict", "--workdir=w", "--input=no"], "--input=no: No such file"),
        (["--mode=predict", "--workdir=w", "--input=."], "--input=.: Is a directory"),
        (
            ["--mode=generate", "--workdir=nowhere"],
            "--mode=generate: there is no work directory nowhere; train first",
        ),
        (
            ["--mode=generate", "--experiment=toy_model", "--config.hidden=3"],
            "--mode=generate: there is no work directory runs",
        ),
        (
            ["--mode=generate", "--workdir=w", "--config.hidden=3"],
            "--workdir=w: holds another configuration (hidden is 2 there and 3 here)",
        ),
        (
            ["--mode=generate", "--workdir=w", "--coordinator=auto"],
            "--coordinator: only with --mode=run",
        ),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(folder, capsys, arguments, line):
    before = contents(folder.parent)
    assert run(folder, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"error: {line}")
    assert contents(folder.parent) == before


class Looker:
    """A model whose lines name pictures."""

    endings = (".png",)

    def predict(self, lines):
        return [{"line": line, "answer": f"seen {line}"} for line in lines]

    def show(self, line, path):
        pathlib.Path(path).write_text(line)


def test_a_file_that_the_model_reads_itself_is_one_line(folder, capsys, monkeypatch):
    monkeypatch.setattr(rnnlab, "load", lambda path: Looker())
    pathlib.Path("a.PNG").write_bytes(b"\x89PNG\r\n\x1a\nmore\n")
    pathlib.Path("names").write_text("a.PNG\nb.png\n")
    assert run(folder, "--workdir=w", "--mode=predict", "--input=a.PNG") == 0
    assert run(folder, "--workdir=w", "--mode=predict", "--input=names") == 0
    assert capsys.readouterr().out == "seen a.PNG\nseen a.PNG\nseen b.png\n"
    assert run(folder, "--workdir=w", "--mode=show", "--input=a.PNG", "--output=o.png") == 0
    assert pathlib.Path("o.png").read_text() == "a.PNG"
