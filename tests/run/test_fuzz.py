"""Random command lines over all experiments: an exit code, one line for a failure, whole files.

What an experiment does after its configuration was accepted is left out here; the work directory,
its record and everything before are real.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import signal
import string
import subprocess
import sys
import tempfile
import types
from functools import cache
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnlab.run import launch, registry
from rnnlab.run.fields import flatten

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "experiments"
EXPERIMENTS = registry.experiments(FOLDER)
CODES = {0, 1, 2, 3, 130}

WHOLE = (0, 1, -1, 2, 3, 7, 64, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 10**30)
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-3, 1e-40, 5e-324, 1e38, 1e300, float("inf"), float("nan"))
WORDS = ("", "tanh", "lstm", "gru", "made", "text", "none", "float32", "autodiff", "x:y", "os:path")
WORDS += (
    "os:getcwd",
    ":",
    "a.b.c:d",
    "2x4x3x5",
    "0x0x0x0",
    "lstm:3",
    "lstm:bi",
    "-",
    "--",
    "=",
    ",",
)
WORDS += ("/", ".", "~", "~nobody", "/dev/null", "/dev/zero", "no/such/file", "x" * 5000, "[a-z]*")

texts = st.text(st.sampled_from(string.printable + "éß\u2028\U0001f600"), max_size=12)
scalars = st.one_of(
    st.sampled_from(WHOLE).map(str),
    st.sampled_from(NUMBERS).map(repr),
    st.integers(-5, 300).map(str),
    st.floats(0, 2).map(repr),
    st.sampled_from(
        ["true", "false", "1e3", "0x10", "1_000", "٣", "True", "None", "()", "[]", "{}"]
    ),
    st.sampled_from(WORDS),
    texts,
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=4).map(",".join),
    st.lists(st.integers(1, 99).map(str), min_size=1, max_size=3).map(",".join),
)


@cache
def fields_of(name):
    """The fields of an experiment with their defaults."""
    return flatten(EXPERIMENTS[name].settings().config_class())


def sensible(default):
    """Values that a field of this default may have."""
    if isinstance(default, bool):
        return st.sampled_from(["true", "false"])
    if isinstance(default, int):
        return st.sampled_from([0, 1, 2, 4, 10, 100, 2**24, 2**31 - 1, 2**31, 2**32]).map(str)
    if isinstance(default, float):
        return st.sampled_from([0, 1e-40, 0.5, 1, 2, 1e6, 1e38, 1e300]).map(repr)
    if isinstance(default, tuple):
        one = st.one_of([sensible(value) for value in default[:3]] or [st.sampled_from(WORDS)])
        return st.lists(one, max_size=3).map(",".join)
    return st.sampled_from([default, *WORDS])


@pytest.fixture(scope="module", autouse=True)
def imported():
    """What strategies ask for, before they are drawn from: imports use random numbers."""
    for name in EXPERIMENTS:
        fields_of(name)


@st.composite
def command_lines(draw):
    """An experiment with some flags, most of which exist."""
    name = draw(st.sampled_from(sorted(EXPERIMENTS)))
    fields = fields_of(name)
    flags = [f"--experiment={name}"]
    if draw(st.integers(0, 3)):
        flags.append("--preset=tiny")
    for field in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3)):
        flag = f"--config.{draw(st.sampled_from([field, field.rpartition('.')[2]]))}"
        value = draw(sensible(fields[field]) if draw(st.integers(0, 2)) else values)
        flags += [f"{flag}={value}"] if draw(st.integers(0, 3)) else [flag, value]
    other = st.sampled_from(
        ["--mode", "--preset", "--host", "--hosts", "--list", "--prompt", "--count"]
    )
    if draw(st.integers(0, 9)) == 0:
        flags.append(f"{draw(other)}={draw(scalars)}")
    if draw(st.integers(0, 9)) == 0:
        flags.append(draw(scalars))
    if draw(st.integers(0, 2)) == 0:
        flags.append(f"--workdir={draw(texts)}")
    return flags


def without_nulls(flags):
    return [flag.replace("\0", "") for flag in flags]


class Ran:
    """How a command line ended in this process."""

    def __init__(self, flags):
        out, err = io.StringIO(), io.StringIO()
        handler = signal.getsignal(signal.SIGTERM)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.code = launch.main(["run.py", *flags], FOLDER)
        signal.signal(signal.SIGTERM, handler)
        self.out, self.err = out.getvalue(), err.getvalue()


def assert_well_ended(code, err, flags):
    assert code in CODES, (flags, code, err)
    assert "Traceback" not in err, (flags, err)
    if code:
        lines = [line for line in err.split("\n") if line and not _is_progress(line)]
        assert len(lines) == 1 and lines[0].startswith("error: "), (flags, err)


def _is_progress(line):
    return line.partition(":")[0] in EXPERIMENTS


def assert_whole_files(folder):
    for path in folder.rglob("*"):
        assert not path.name.endswith(".tmp"), path
        if path.suffix == ".json" and path.is_file():
            json.loads(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def elsewhere():
    """A folder of its own as the current one and the home."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            with mock.patch.dict(os.environ, HOME=folder):
                yield pathlib.Path(folder)
        finally:
            os.chdir(before)


@pytest.mark.slow
@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(flags=command_lines())
def test_every_command_line_ends_well(flags):
    flags = without_nulls(flags)
    stub = types.SimpleNamespace(run=lambda config, workdir: "done")
    with elsewhere() as folder, mock.patch.object(registry.Experiment, "load", lambda self: stub):
        ran = Ran(flags)
        assert_well_ended(ran.code, ran.err, flags)
        assert_whole_files(folder)


#: Command lines for processes of their own, of experiments that end within seconds.
REAL = (
    ["--experiment=cliff", "--config.points=21", "--config.updates=1", "--config.neighbours=1"],
    ["--experiment=cliff", "--config.w_range=1e308,1.7e308", "--config.start=1.5e308,-2.6"],
    ["--experiment=cliff", "--config.x_0=1e300", "--config.threshold=1e-300"],
    ["--experiment=cliff", "--config.points=21", "--workdir=w \u2028[x]*?'\"\\é😀"],
    ["--experiment=jacobian_spectra", "--config.lengths=1", "--config.hidden=1", "--config.cells="],
    ["--experiment=jacobian_spectra", "--config.hidden=16777216", "--config.cells="],
    ["--experiment=jacobian_spectra", "--config.gain=1e-300", "--config.cells=lstm"],
    ["--experiment=gradient_norms", "--config.inputs=corpus.txt", "--config.hidden=2"],
    ["--experiment=char_lm", "--config.corpus=corpus.txt", "--config.hidden=2147483647"],
    ["cliff"],
    ["--help"],
)


@pytest.mark.slow
@pytest.mark.parametrize("flags", REAL, ids=lambda flags: " ".join(flags)[:60])
def test_a_process_of_its_own_ends_well(tmp_path, flags):
    (tmp_path / "corpus.txt").write_text("to be or not to be\n" * 30, encoding="utf-8")
    command = [sys.executable, str(ROOT / "run.py"), "--preset=tiny", *flags]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=600)
    assert_well_ended(ended.returncode, ended.stderr.decode(), flags)
    assert_whole_files(tmp_path)
