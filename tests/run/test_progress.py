import io
import sys

import pytest

from rnnlab.run import progress
from rnnlab.run.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_few_seconds_where_there_is_no_terminal(clock, capsys):
    with Progress("sweep", 40, done=20) as bar:
        for step in range(20):
            clock[0] += 1
            bar.advance(1, f"[b]ρ={step}")
    out, err = capsys.readouterr()
    assert out == "" and "\x1b" not in err
    assert err.splitlines() == [
        "sweep: 20/40, 0:00 elapsed",
        "sweep: 25/40, 0:05 elapsed, about 0:15 left: [b]ρ=4",
        "sweep: 30/40, 0:10 elapsed, about 0:10 left: [b]ρ=9",
        "sweep: 35/40, 0:15 elapsed, about 0:05 left: [b]ρ=14",
        "sweep: 40/40, 0:20 elapsed: [b]ρ=19",
    ]


def test_a_bar_in_a_terminal(monkeypatch, capsys):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("sweep", 3) as bar:
        bar.advance(2, "[b]ρ=1")
        print("a result")
    assert "2/3" in terminal.getvalue() and "[b]ρ=1" in terminal.getvalue()
    assert capsys.readouterr().out == "a result\n"


def test_hours():
    assert progress._clock(3 * 3600 + 62) == "3:01:02"


def test_within_another_it_says_nothing(capsys):
    with Progress("outer", total=2, interval=0.0) as outer:
        with Progress("inner", total=3, interval=0.0) as inner:
            inner.advance(3)
        outer.advance(2)
    with Progress("later", total=1):
        pass
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["outer", "outer", "later"]
