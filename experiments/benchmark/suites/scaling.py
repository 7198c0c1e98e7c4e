"""Time and memory of a layer's gradient against T, H and B; compile time against T and depth.

The exponent `p` of `time ∝ size^p` is a least-squares line through the logarithms. Memory is what
XLA reserves for temporaries: the residuals of the backward pass, for the most part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import jax

from experiments.benchmark.comparison import gather, measure
from experiments.benchmark.config import Config, Scaling
from experiments.benchmark.notation import parse_shape
from experiments.benchmark.peers import chosen
from experiments.benchmark.problem import GRADIENT, Problem
from experiments.benchmark.results import (
    FIRST,
    MEDIAN,
    MEMORY,
    SCALING,
    Result,
    Rows,
    Table,
    known_points,
    short,
)
from rnnlab import precision
from rnnlab.run.progress import Progress
from rnnlab.statistics import power_law
from rnnlab.timing import matrix_product_peak

DTYPE = "float32"
PEER = "linen"
#: The size of a shape that each axis varies.
SIZES = {"T": "time", "H": "hidden", "B": "batch"}


def run(config: Config) -> Iterator[Result]:
    """Measures size after size along each axis."""
    settings = config.scaling
    peers = chosen([name for name in config.candidates.peers if name == PEER])
    rows: Rows = []
    plan = list(problems(settings))
    with precision.products(), Progress("scaling", total=len(plan)) as progress:
        peak = matrix_product_peak(DTYPE)
        for axis, size, problem in plan:
            candidates, _ = gather(problem, config.candidates.strategies, peers)
            new = measure(problem, candidates, (GRADIENT,), config.candidates, peak)
            rows += [{"axis": axis, "size": size} | row for row in new]
            yield Table(SCALING.format(base=settings.base), rows, complete=False)
            progress.advance(1, f"{axis} = {size}")
            jax.clear_caches()
    yield Table("Scaling: exponents", exponents(rows))


def problems(settings: Scaling) -> Iterator[tuple[str, int, Problem]]:
    """Axis, size along it, and what is timed there."""
    base = parse_shape("base", settings.base)
    powers = [2**k for k in range(settings.points)]
    for axis in settings.axes:
        if axis == "depth":
            for depth in powers:
                yield axis, depth, Problem(f"{settings.layer}:{depth}", base, DTYPE)
            continue
        middle = getattr(base, SIZES[axis])
        for size in sorted({max(1, middle * p // 2 ** (settings.points // 2)) for p in powers}):
            shape = dataclasses.replace(base, **{SIZES[axis]: size})
            yield axis, size, Problem(settings.layer, shape, DTYPE)


def exponents(rows: Rows) -> Rows:
    """Fitted exponents of time, memory and first call for each axis and candidate."""
    table = []
    for axis in dict.fromkeys(row["axis"] for row in rows):
        for name in dict.fromkeys(row["candidate"] for row in rows):
            mine = [r for r in rows if (r["axis"], r["candidate"]) == (axis, name)]
            fits = {
                column: short(exponent(*known_points(mine, column)))
                for column in (MEDIAN, MEMORY, FIRST)
            }
            table.append({"against": axis, "candidate": name} | fits)
    return table


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """The `p` of `value ∝ size^p`, by least squares on logarithms; None for too few values."""
    pairs = [(s, v) for s, v in zip(sizes, values, strict=True) if v]
    if len(pairs) < 2:
        return None
    return power_law(*zip(*pairs, strict=True)).exponent
