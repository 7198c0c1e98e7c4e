"""The table of `strategy="auto"`: the fastest strategy of small and large layers on this device.

It is written to `auto.tsv` in the work directory, entries of other backends included; to use it,
copy it to `rnnlab/strategies/`.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import jax

from experiments._benchmark_layers import Rows, float32_products, measure
from experiments._benchmark_layers_summary import MEDIAN
from experiments._benchmark_output import Output
from experiments._benchmark_problem import FORWARD, GRADIENT, Problem, Shape, ours
from experiments._benchmark_timing import matrix_product_peak
from rnnlab.run.progress import Progress
from rnnlab.strategies import supported
from rnnlab.strategies.auto import CHOICES, TABLE, Entry, table

#: One cell for each number of gates that is common.
CELLS = "tanh", "gru", "lstm"
ROWS, HIDDEN = (1, 32, 128), (32, 128, 512)
STEPS = 64
#: Another strategy than the plain one must be so much faster, which medians here show reliably.
MARGIN = 1.05
PLAIN = "rnnlab autodiff"


def run(config: Any, output: Output) -> None:
    """Measures the sizes in float32 and writes the table."""
    problems = [
        Problem(cell, Shape(rows, STEPS, hidden, hidden), "float32")
        for cell in CELLS
        for rows in ROWS
        for hidden in HIDDEN
    ]
    entries: list[Entry] = []
    measured: Rows = []
    with float32_products(), Progress("auto", total=len(problems)) as progress:
        peak = matrix_product_peak("float32")
        for problem in problems:
            names = [name for name in CHOICES if name in supported(problem.layer)]
            candidates = [ours(problem, name) for name in names]
            rows = measure(problem, candidates, (FORWARD, GRADIENT), config, peak)
            measured += rows
            entries.append(_entry(problem, rows))
            output.table("Strategies", measured, show=False)
            progress.advance(1, f"{problem.name} {problem.shape}")
            jax.clear_caches()
    output.table("auto", [entry._asdict() for entry in entries])
    others = [entry for entry in table() if entry.backend != jax.default_backend()]
    output.text(TABLE, as_text(others + entries))


def _entry(problem: Problem, rows: Rows) -> Entry:
    forward, gradient = (_fastest(rows, pass_) for pass_ in (FORWARD, GRADIENT))
    shape, gates = problem.shape, len(problem.layer.blocks)
    return Entry(jax.default_backend(), gates, shape.batch, shape.hidden, forward, gradient)


def _fastest(rows: Rows, pass_: str) -> str:
    """The strategy with the least median of a pass; the plain one unless another is well below."""
    timed = [row for row in rows if row["pass"] == pass_ and MEDIAN in row]
    best = min(timed, key=lambda row: row[MEDIAN] * (1 if row["candidate"] == PLAIN else MARGIN))
    return best["candidate"].removeprefix("rnnlab ")


def as_text(entries: list[Entry]) -> str:
    """The entries as tab-separated lines under a head."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(Entry._fields)
    writer.writerows(entries)
    return text.getvalue()
