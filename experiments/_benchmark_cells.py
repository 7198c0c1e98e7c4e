"""Every cell at one shape: plain autodiff against the other strategies."""

from __future__ import annotations

from typing import Any

import jax

from experiments._benchmark_layers import Rows, float32_products, measure
from experiments._benchmark_layers_summary import MEDIAN, show
from experiments._benchmark_output import Output
from experiments._benchmark_problem import FORWARD, GRADIENT_INPUTS, Problem, ours, parse_shape
from experiments._benchmark_timing import matrix_product_peak
from rnnlab.cells import CELLS
from rnnlab.run.progress import Progress
from rnnlab.strategies import supported

PLAIN = "rnnlab autodiff"
VERSUS = "× autodiff"


def run(config: Any, output: Output) -> None:
    """Measures cell after cell in float32, and writes what there is after each."""
    shape = parse_shape("base", config.base)
    names = config.cells or tuple(CELLS)
    rows: Rows = []
    with float32_products(), Progress("cells", total=len(names)) as progress:
        peak = matrix_product_peak("float32")
        for name in names:
            problem = Problem(name, shape, "float32")
            candidates = [ours(problem, strategy) for strategy in supported(problem.layer)]
            new = measure(problem, candidates, (FORWARD, GRADIENT_INPUTS), config, peak)
            show(f"{name}, {shape}, float32: milliseconds", new)
            rows += with_speedup(new)
            output.table(f"Cells at {shape}, float32", rows, show=False)
            progress.advance(1, name)
            jax.clear_caches()
    output.table(f"Cells at {shape}, float32: how many times faster than autodiff", summary(rows))


def with_speedup(rows: Rows) -> Rows:
    """The rows of one cell with how many times faster each is than plain autodiff on its pass."""
    plain = {r["pass"]: r[MEDIAN] for r in rows if r["candidate"] == PLAIN and MEDIAN in r}
    return [
        row | {VERSUS: round(plain[row["pass"]] / row[MEDIAN], 3)}
        if MEDIAN in row and row["pass"] in plain
        else row
        for row in rows
    ]


def summary(rows: Rows) -> Rows:
    """For each cell and pass every strategy's speed relative to plain autodiff."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["layer"], row["pass"])
        line = lines.setdefault(key, {"cell": key[0], "pass": key[1]})
        line[row["candidate"].removeprefix("rnnlab ")] = row.get(VERSUS, row["note"])
    return list(lines.values())
