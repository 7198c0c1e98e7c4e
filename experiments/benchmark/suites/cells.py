"""Every cell at one shape: plain autodiff against the other strategies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax

from experiments.benchmark.candidate import OURS, ours
from experiments.benchmark.comparison import measure, strategies_for
from experiments.benchmark.config import Config
from experiments.benchmark.notation import parse_shape
from experiments.benchmark.problem import FORWARD, GRADIENT_INPUTS, Problem
from experiments.benchmark.ratios import with_speedup
from experiments.benchmark.results import VERSUS_PLAIN, Comparison, Result, Rows, Table
from rnnlab import precision
from rnnlab.cells import CELLS
from rnnlab.run.progress import Progress
from rnnlab.timing import matrix_product_peak

PASSES = (FORWARD, GRADIENT_INPUTS)


def run(config: Config) -> Iterator[Result]:
    """Measures cell after cell in float32."""
    shape = parse_shape("shape", config.cells.shape)
    names = config.cells.cells or tuple(CELLS)
    title = f"Cells at {shape}, float32"
    rows: Rows = []
    with precision.products(), Progress("cells", total=len(names)) as progress:
        peak = matrix_product_peak("float32")
        for name in names:
            problem = Problem(name, shape, "float32")
            strategies = strategies_for(problem, config.candidates.strategies)
            candidates = [ours(problem, strategy) for strategy in strategies]
            new = measure(problem, candidates, PASSES, config.candidates, peak)
            rows += with_speedup(new)
            yield Comparison(str(problem), new)
            yield Table(title, rows, complete=False)
            progress.advance(1, name)
            jax.clear_caches()
    yield Table(f"{title}: how many times faster than autodiff", summary(rows))


def summary(rows: Rows) -> Rows:
    """For each cell and pass every strategy's speed relative to plain autodiff."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["layer"], row["pass"])
        line = lines.setdefault(key, {"cell": key[0], "pass": key[1]})
        line[row["candidate"].removeprefix(OURS)] = row.get(VERSUS_PLAIN, row["note"])
    return list(lines.values())
