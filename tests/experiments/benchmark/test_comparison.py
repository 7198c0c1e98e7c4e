"""Candidates of one problem: who is timed, who is not and why, and what ratios come of it."""

from __future__ import annotations

import jax.numpy as jnp

from experiments.benchmark.candidate import JaxCandidate, ours
from experiments.benchmark.comparison import measure
from experiments.benchmark.config import Candidates
from experiments.benchmark.notation import Shape
from experiments.benchmark.problem import FORWARD, GRADIENT, Problem, outputs_of
from experiments.benchmark.ratios import summary, with_ratios


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
