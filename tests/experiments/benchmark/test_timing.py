"""The clocks of the benchmark."""

from __future__ import annotations

import time

import pytest

from experiments.benchmark.suites.scaling import exponent
from rnnlab.timing import LEAST_ROUNDS, Times, reason, take_turns


def test_candidates_take_turns_in_changing_order():
    calls: list[str] = []
    timings, failed = take_turns({n: lambda n=n: calls.append(n) for n in "abc"}, 20, 9.0)
    rounds = [tuple(calls[i : i + 3]) for i in range(0, 60, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(set(rounds)) > 3 and not failed
    assert [len(timings[name].seconds) for name in "abc"] == [20, 20, 20]


def test_a_slow_candidate_has_fewer_rounds_and_a_failing_one_a_reason():
    def exhausted():
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")

    slow = {"slow": lambda: time.sleep(0.01), "fast": lambda: None, "large": exhausted}
    timings, failed = take_turns(slow, 8, 0.015)
    assert len(timings["slow"].seconds) == LEAST_ROUNDS and len(timings["fast"].seconds) == 8
    assert 0.01 <= timings["slow"].median < 0.1
    assert list(failed) == ["large"] and failed["large"].startswith("out of memory")
    assert "large" not in timings


def test_medians_and_quartiles():
    times = Times((4.0, 1.0, 2.0, 3.0, 9.0))
    assert times.median == 3.0 and times.quartiles == (2.0, 4.0)


def test_reasons_are_one_line():
    assert reason(ValueError("first\n  second")) == "ValueError: first second"


def test_exponents():
    sizes = [1, 2, 4, 8]
    assert exponent(sizes, [3.0 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert exponent([4], [1.0]) is None
