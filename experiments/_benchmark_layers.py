"""Recurrent layers in every strategy against every peer: forward, gradient, gradient and inputs.

All candidates of one layer, shape, dtype and pass take turns in one process. Before that each must
give the outputs or gradients of the reference, on the same weights; one that does not, or cannot
run, has a row that says why, and no time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax

from experiments import _benchmark_layers_summary as summaries
from experiments._benchmark_output import Output
from experiments._benchmark_peers import PEERS, Peer, check_version
from experiments._benchmark_problem import (
    AGREE,
    PASSES,
    Candidate,
    Problem,
    Shape,
    ours,
    parse_shape,
)
from experiments._benchmark_timing import (
    Program,
    Timing,
    matrix_product_peak,
    reason,
    short,
    take_turns,
)
from rnnlab.run.progress import Progress
from rnnlab.strategies import STRATEGIES, supported

#: Shapes that a GPU is needed for, beside those that are measured everywhere.
SHAPES = "32x128x128x128", "32x256x64x256", "64x100x256x512", "128x50x64x64", "1x1000x32x64"
GPU_SHAPES = ("16x1024x768x768",)

Rows = list[dict[str, Any]]


def run(config: Any, output: Output) -> None:
    """Measures every layer, shape and dtype, and writes what there is after each."""
    problems = [
        Problem(layer, shape, dtype)
        for shape in shapes(config)
        for dtype in config.dtypes
        for layer in config.layers
    ]
    rows: Rows = []
    skipped: dict[tuple[str, str], dict[str, Any]] = {}
    with float32_products(), Progress("layers", total=len(problems)) as progress:
        peaks = {dtype: matrix_product_peak(dtype) for dtype in config.dtypes}
        output.record(**{f"peak of products in {d} (GFLOP/s)": round(p) for d, p in peaks.items()})
        for problem in problems:
            candidates, left_out = gather(problem, config.strategies)
            new = measure(problem, candidates, PASSES, config, peaks[problem.dtype])
            rows += new
            skipped |= {(row["candidate"], row["layer"]): row for row in left_out}
            title = f"{problem.name}, {problem.shape}, {problem.dtype}: milliseconds"
            summaries.show(title, new)
            output.table("Layers", rows, show=False)
            progress.advance(1, f"{problem.name} {problem.shape} {problem.dtype}")
            jax.clear_caches()
    output.table("Layers: left out", list(skipped.values()))
    summaries.summarise(rows, output)


def shapes(config: Any) -> list[Shape]:
    """The shapes asked for; by default those that suit the device."""
    names = config.shapes or SHAPES + (GPU_SHAPES if jax.default_backend() == "gpu" else ())
    return [parse_shape("shapes", name) for name in names]


@contextlib.contextmanager
def float32_products() -> Iterator[None]:
    """Products of float32 are float32 on a GPU too, and not shortened to 10 bits."""
    with jax.default_matmul_precision("highest"):
        yield


def measure(
    problem: Problem,
    candidates: Sequence[Candidate],
    passes: Sequence[str],
    config: Any,
    peak: float,
) -> Rows:
    """Rows of all passes of all candidates of a problem; in each pass the candidates take turns."""
    rows: Rows = []
    for pass_ in passes:
        programs, notes, differences = {}, {}, {}
        for candidate in candidates:
            name = candidate.name
            try:
                programs[name], differences[name] = _checked(problem, candidate, pass_)
            except Exception as error:
                notes[name] = reason(error)
            if not differences.get(name, 0.0) <= AGREE[problem.dtype]:
                notes[name] = f"disagrees by {differences[name]:.2g}, not timed"
        calls = {name: program.call for name, program in programs.items() if name not in notes}
        timings, failed = take_turns(calls, config.turns, config.seconds)
        notes |= failed
        for candidate in candidates:
            name = candidate.name
            rows.append(
                {
                    "layer": problem.name,
                    "shape": str(problem.shape),
                    "dtype": problem.dtype,
                    "pass": pass_,
                    "candidate": name,
                    **_numbers(problem, pass_, programs.get(name), timings.get(name), peak),
                    "difference": short(differences.get(name)),
                    "note": notes.get(name, ""),
                }
            )
    return summaries.with_ratios(rows)


def gather(problem: Problem, strategies: Sequence[str] = ()) -> tuple[list[Candidate], Rows]:
    """Every strategy and every peer that has the layer, and rows about those that do not."""
    makers: dict[str, Callable[[], Candidate]] = {
        f"rnnlab {name}": partial(ours, problem, name)
        for name in supported(problem.layer)
        if name in (strategies or STRATEGIES)
    }
    makers |= {peer.name: partial(_installed, peer, problem) for peer in PEERS}
    candidates: list[Candidate] = []
    left_out: Rows = []
    for name, make in makers.items():
        try:
            candidates.append(make())
        except Exception as error:
            row = {"candidate": name, "layer": problem.name, "reason": reason(error)}
            left_out.append(row)
    return candidates, left_out


def _installed(peer: Peer, problem: Problem) -> Candidate:
    check_version(peer)
    return peer.candidate(problem)


def _checked(problem: Problem, candidate: Candidate, pass_: str) -> tuple[Program, float]:
    """A compiled pass and how far its result is from the reference; the result is let go."""
    program = candidate.program(pass_)
    difference = problem.difference(candidate, pass_, program.result)
    return Program(program.call, program.first, None, program.temporaries), difference


def _numbers(
    problem: Problem, pass_: str, program: Program | None, timing: Timing | None, peak: float
) -> dict[str, Any]:
    row: dict[str, Any] = {"first (s)": short(program.first if program else None)}
    if timing is not None:
        speed = problem.flops(pass_) / timing.median / 1e9
        low, high = timing.quartiles
        row |= {
            "median (ms)": short(timing.median * 1e3),
            "lower quartile (ms)": short(low * 1e3),
            "upper quartile (ms)": short(high * 1e3),
            "rounds": len(timing.seconds),
            "GFLOP/s": short(speed),
            "share of peak": short(speed / peak),
        }
    if program is not None and program.temporaries is not None:
        row["temporaries (MiB)"] = short(program.temporaries / 2**20)
    return row
