"""Turns are repeated while the machine is disturbed, and it is told what disturbs it."""

from __future__ import annotations

import pytest

from experiments.benchmark import turns
from experiments.benchmark.config import Candidates
from experiments.benchmark.turns import disturbance_columns, quiet_turns
from rnnlab.run import gpu_driver, load
from rnnlab.run.load import BUSY, Disturbance, Load
from rnnlab.timing import Program

#: The true one: a fixture replaces it for other tests.
DISTURBANCE = Load.disturbance


def program(calls, name="a"):
    return Program(lambda: calls.append(name), 0.0, None, start=lambda: calls.append("started"))


def settings(**fields):
    return Candidates(turns=3, seconds=9.0, **fields)


@pytest.mark.parametrize(
    ("loads", "limit", "repeats", "kept"),
    [
        ((0.0,), 2, 0, 0.0),
        ((0.9, 0.0), 2, 1, 0.0),
        ((0.9, 0.4, 0.7), 2, 2, 0.4),
        ((0.9,), 0, 0, 0.9),
    ],
)
def test_turns_are_repeated_up_to_a_limit_and_the_quietest_count(
    loads, limit, repeats, kept, monkeypatch
):
    found = [Disturbance(others, (BUSY,) if others > 0.2 else ()) for others in loads]
    monkeypatch.setattr(Load, "disturbance", lambda _: found.pop(0))
    calls = []
    timed = quiet_turns({"a": program(calls)}, settings(repeats=limit))
    assert timed.repeats == repeats and timed.disturbance.others == kept
    assert len(calls) == 3 * (repeats + 1) and len(timed.times["a"].seconds) == 3
    columns = disturbance_columns(timed)
    assert columns["repeats"] == repeats and columns["others (cores)"] == kept
    assert columns.get("disturbed by") == (BUSY if kept else None)


def test_calls_are_queued_on_a_gpu_alone(monkeypatch):
    calls = []
    quiet_turns({"a": program(calls)}, settings(queued=3))
    assert calls == ["a"] * 3
    monkeypatch.setattr(turns.jax, "default_backend", lambda: "gpu")
    calls.clear()
    waiting = Program(lambda: calls.append("b"), 0.0, None)
    timed = quiet_turns({"a": program(calls), "b": waiting}, settings(queued=3))
    assert calls.count("started") == 6 and calls.count("a") == calls.count("b") == 3
    assert set(timed.times) == {"a", "b"}


def test_what_disturbs_the_machine_is_told(monkeypatch):
    monkeypatch.setattr(Load, "disturbance", DISTURBANCE)
    monkeypatch.setattr(load, "cores", lambda: {0, 1})
    clocks = iter([3000.0, 2900.0, 1500.0])
    monkeypatch.setattr(load, "_highest", 0.0)
    monkeypatch.setattr(load, "clock", lambda: next(clocks))
    now = Load()
    found = []
    for others, stolen in ((0.1, 0.0), (1.0, 0.9), (1.0, 0.1)):
        monkeypatch.setattr(Load, "others", lambda _, n=others: n)
        monkeypatch.setattr(Load, "stolen", lambda _, n=stolen: n)
        found.append(now.disturbance())
    assert found[0] == Disturbance(0.1, ())
    assert found[1].reasons == ("other virtual machines took 0.90 cores",)
    assert found[2].reasons == (BUSY, "the processor ran at 1500 of 3000 MHz")
    assert found[2].note == f"{BUSY}; the processor ran at 1500 of 3000 MHz"


def test_the_driver_of_a_gpu_is_asked(monkeypatch):
    answers = {
        "--query-gpu=clocks_event_reasons.active": ["Field is not a valid field to query."],
        "--query-gpu=clocks_throttle_reasons.active": ["0x0000000000000024"],
        "--query-compute-apps=pid": ["12", "345"],
    }
    monkeypatch.setattr(gpu_driver, "ask", answers.__getitem__)
    assert gpu_driver.complaints() == []  # this is no GPU
    monkeypatch.setattr(gpu_driver.jax, "default_backend", lambda: "gpu")
    assert gpu_driver.complaints() == [
        "the GPU was slowed down: heat (software)",
        "2 programs were on the GPU",
    ]


def test_a_machine_without_that_driver_has_no_answers(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda tool: None)
    assert gpu_driver.ask("--query-compute-apps=pid") == []
