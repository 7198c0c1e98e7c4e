"""Recurrent layers in every strategy against every peer: forward, gradient, gradient and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax

from experiments.benchmark.comparison import gather, measure
from experiments.benchmark.config import PASSES as PASS_NAMES
from experiments.benchmark.config import Config
from experiments.benchmark.notation import Shape, parse_shape
from experiments.benchmark.peers import chosen
from experiments.benchmark.problem import PASSES, Problem
from experiments.benchmark.ratios import summary
from experiments.benchmark.results import LAYERS, Comparison, Facts, Result, Rows, Table
from rnnlab import precision
from rnnlab.run.progress import Progress
from rnnlab.timing import matrix_product_peak

#: Shapes that are measured everywhere, and those that need a GPU.
SHAPES = "32x128x128x128", "32x256x64x256", "64x100x256x512", "128x50x64x64", "1x1000x32x64"
GPU_SHAPES = ("16x1024x768x768",)
#: The passes by the names that flags use.
PASS_BY_NAME: dict[str, str] = dict(zip(PASS_NAMES, PASSES, strict=True))


def run(config: Config) -> Iterator[Result]:
    """Measures every layer, shape and dtype."""
    settings = config.layers
    problems = [
        Problem(layer, shape, dtype)
        for shape in shapes(settings.shapes)
        for dtype in settings.dtypes
        for layer in settings.layers
    ]
    peers = chosen(config.candidates.peers)
    passes = [PASS_BY_NAME[name] for name in settings.passes]
    rows: Rows = []
    skipped: dict[tuple[str, str], dict[str, Any]] = {}
    with precision.products(), Progress("layers", total=len(problems)) as progress:
        peaks = {dtype: matrix_product_peak(dtype) for dtype in settings.dtypes}
        yield Facts({f"peak of products in {d} (GFLOP/s)": round(p) for d, p in peaks.items()})
        for problem in problems:
            asked = config.candidates
            candidates, left_out = gather(problem, asked.strategies, peers)
            new = measure(problem, candidates, passes, config.candidates, peaks[problem.dtype])
            rows += new
            skipped |= {(row["candidate"], row["layer"]): row for row in left_out}
            yield Comparison(str(problem), new)
            yield Table(LAYERS, rows, complete=False)
            progress.advance(1, f"{problem.name} {problem.shape} {problem.dtype}")
            jax.clear_caches()
    yield Table(f"{LAYERS}: left out", list(skipped.values()))
    for dtype in settings.dtypes:
        mine = [row for row in rows if row["dtype"] == dtype]
        yield Table(f"{LAYERS}: smallest ratio over the shapes, {dtype}", summary(mine))


def shapes(asked: Sequence[str]) -> list[Shape]:
    """The shapes asked for; by default those that suit the device."""
    names = asked or SHAPES + (GPU_SHAPES if jax.default_backend() == "gpu" else ())
    return [parse_shape("shapes", name) for name in names]
