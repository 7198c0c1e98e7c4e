"""Candidates of one problem: who is timed, who is not and why, and what ratios come of it."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmark import ratios
from experiments.benchmark.candidate import JaxCandidate, ours
from experiments.benchmark.comparison import measure
from experiments.benchmark.config import Candidates
from experiments.benchmark.notation import Shape
from experiments.benchmark.problem import FORWARD, GRADIENT, Problem, outputs_of
from experiments.benchmark.ratios import summary, with_ratios
from experiments.benchmark.report.sentences import busy_warning, fastest
from experiments.benchmark.results import columns
from rnnlab.run.load import BUSY, Disturbance, Load, cores
from rnnlab.strategies import StrategyWarning


def test_rows_say_why_a_candidate_has_no_time():
    problem = Problem("tanh", Shape(2, 4, 3, 5), "float32")
    right = outputs_of(problem.layer, "autodiff")

    def exhausted(params, xs):
        raise MemoryError("4 TiB asked for")

    candidates = [
        ours(problem, "autodiff"),
        JaxCandidate("doubled", problem, lambda params, xs: 2 * right(params, xs)),
        JaxCandidate("wide", problem, lambda params, xs: right(params, xs).astype(jnp.float64)),
        JaxCandidate("large", problem, exhausted),
        ours(problem, "no such"),
    ]
    turns = Candidates(turns=3, seconds=0.05)
    rows = measure(problem, candidates, (FORWARD,), turns, 100.0)
    notes = {row["candidate"]: row["note"] for row in rows}
    assert notes["rnnlab autodiff"] == ""
    assert notes["doubled"] == "disagrees by 1, not timed"
    assert notes["wide"] == "TypeError: returns float64 for float32"
    assert notes["large"] == "out of memory (4 TiB asked for)"
    assert notes["rnnlab no such"].startswith("strategy='no such': unknown")
    assert [row["candidate"] for row in rows if "median (ms)" in row] == ["rnnlab autodiff"]


def test_the_summary_is_the_smallest_of_the_best():
    def row(shape, candidate, median):
        names = {"layer": "lstm", "shape": shape, "pass": GRADIENT, "note": ""}
        return names | {"candidate": candidate, "median (ms)": median}

    large, small = "2x4x3x128", "1x4x3x512"
    rows = [
        *with_ratios(
            [
                row(large, "rnnlab hoisted", 2.0),
                row(large, "rnnlab auto", 4.0),
                row(large, "Flax Linen", 6.0),
                row(large, "PyTorch", 1.0),
            ]
        ),
        *with_ratios(
            [row(small, "rnnlab hoisted", 5.0), row(small, "Haiku", 8.0), row(small, "Keras", 9.0)]
        ),
    ]
    best, auto = summary(rows)
    aims = "gradient, against the best JAX peer", "gradient, against PyTorch"
    assert best[f"{aims[0]}, H ≥ 128"] == f"3.00 at {large}"
    assert best[f"{aims[1]}, H ≥ 128"] == f"0.50 at {large}"
    assert best[f"{aims[0]}, B = 1 or H ≤ 64"] == f"1.60 at {small}"
    assert auto[f"{aims[0]}, H ≥ 128"] == f"1.50 at {large}"
    assert auto[f"{aims[0]}, B = 1 or H ≤ 64"] == "–"


def test_ratios_have_intervals_of_rounds_that_were_measured_together():
    def row(candidate, rounds):
        names = {"layer": "lstm", "shape": "2x4x3x5", "pass": GRADIENT, "dtype": "float32"}
        times = {"median (ms)": float(np.median(rounds)), "each round (ms)": rounds}
        return names | {"candidate": candidate, "note": ""} | times

    # The machine is slow in every other round, for both alike: the ratio is 2 in each of them.
    ours = [1.0, 3.0, 1.1, 3.3, 1.2, 3.2]
    rows = with_ratios([row("rnnlab auto", ours), row("Haiku", [2 * ms for ms in ours[:5]])])
    assert rows[0]["× best JAX peer"] == 2 and rows[0]["× best JAX peer, 95 %"] == "2 … 2"
    assert "× best JAX peer, 95 %" not in rows[1]  # it is the peer itself
    assert summary(rows)[0]["gradient, against the best JAX peer, B = 1 or H ≤ 64"].endswith(
        " (2 … 2) at 2x4x3x5"
    )
    (sentence,) = fastest(rows)
    assert sentence == (
        "The fastest gradient of lstm at 2x4x3x5, float32 on this machine is rnnlab auto: 2.1 ms, "
        "2 (2 … 2) times as fast as Haiku."
    )
    few = [row("rnnlab auto", ours[:2]), row("Haiku", ours[:2])]
    assert "× best JAX peer, 95 %" not in with_ratios(few)[0]


def test_pytorch_in_tf32_is_compared_where_jax_multiplies_so(monkeypatch):
    def row(candidate, median):
        names = {"layer": "lstm", "shape": "2x4x3x5", "pass": GRADIENT, "note": ""}
        return names | {"candidate": candidate, "median (ms)": median}

    rows = [row("rnnlab auto", 1.0), row("PyTorch tf32", 2.0), row("PyTorch fp32", 3.0)]
    found = []
    for asked in ("float32", "fast"):
        monkeypatch.setattr(ratios.precision, "in_use", lambda asked=asked: asked)
        found.append(with_ratios(rows)[0]["× PyTorch"])
    assert found == [3, 2]


@pytest.mark.slow
def test_rows_of_a_busy_machine_are_marked(monkeypatch):
    monkeypatch.setattr(Load, "disturbance", lambda load: Disturbance(1.5, (BUSY, "heat")))
    problem = Problem("tanh", Shape(2, 4, 3, 5), "float32")
    turns = Candidates(turns=3, seconds=0.05)
    (row,) = measure(problem, [ours(problem, "autodiff")], (FORWARD,), turns, None)
    assert row["others (cores)"] == 1.5 and row["note"] == "other processes were running; heat"
    assert row["repeats"] == turns.repeats > 0 and row["disturbed by"] == row["note"]
    assert "share of peak" not in row


def test_rows_say_what_runs_in_the_place_of_a_strategy():
    problem = Problem("tanh", Shape(2, 4, 3, 5), "float32")
    right = outputs_of(problem.layer, "autodiff")

    def other(params, xs):
        warnings.warn("runs by 'autodiff', since it is small", StrategyWarning, stacklevel=2)
        return right(params, xs)

    turns = Candidates(turns=3, seconds=0.05)
    rows = measure(problem, [JaxCandidate("a", problem, other)], (FORWARD,), turns, None)
    assert rows[0]["note"] == "runs by 'autodiff', since it is small" and "median (ms)" in rows[0]
    assert rows[0]["instead"] == rows[0]["note"] and "instead" not in columns(rows)


def test_a_busy_machine_is_told():
    loads = [{"others (cores)": load} for load in (0.0, None, 0.9 * len(cores()))]
    assert busy_warning(loads[:2]) == ""
    warning = busy_warning(loads)
    assert warning.startswith(f"other processes took up to {0.9 * len(cores()):.1f} of ")
    assert "while 1 of 2 rows were timed" in warning
    assert busy_warning([{"others (cores)": 0.0, "disturbed by": "heat; brake"}]).startswith(
        "heat meanwhile, and 1 more such reasons; their times say little."
    )


@pytest.mark.skipif(not pathlib.Path("/proc/stat").exists(), reason="the load is read from Linux")
def test_the_load_is_that_of_other_processes():
    load = Load()
    assert load.others() is None  # too short to say
    code = "import time; end = time.monotonic() + 0.8\nwhile time.monotonic() < end: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as other:
        load = Load()
        other.wait()
        others = load.others()
    assert others is not None and others > 0.5
