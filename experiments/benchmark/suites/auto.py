"""The table of `strategy="auto"`: the fastest strategy of small and large layers on this device.

It is written to `auto.tsv` in the work directory, entries of other backends included; to use it,
copy it to `rnnlab/strategies/`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import jax

from experiments.benchmark.candidate import OURS, ours
from experiments.benchmark.comparison import measure
from experiments.benchmark.config import Auto, Config
from experiments.benchmark.notation import Shape
from experiments.benchmark.problem import FORWARD, GRADIENT, Problem
from experiments.benchmark.ratios import PLAIN
from experiments.benchmark.results import INSTEAD, MEDIAN, Result, Rows, Table, TextFile
from rnnlab import precision
from rnnlab.run.progress import Progress
from rnnlab.strategies import automatic, supported
from rnnlab.strategies.auto import TABLE, Entry, table
from rnnlab.timing import matrix_product_peak

#: Another strategy than the plain one is chosen only if it is this many times faster.
MARGIN = 1.05


def run(config: Config) -> Iterator[Result]:
    """Measures the sizes, and yields the table at the end."""
    todo = problems(config.auto)
    entries: list[Entry] = []
    measured: Rows = []
    with precision.products(), Progress("auto", total=len(todo)) as progress:
        peaks = {dtype: matrix_product_peak(dtype) for dtype in config.auto.entry_dtypes}
        for problem in todo:
            asked = config.candidates.strategies or automatic()
            names = [name for name in asked if name in supported(problem.layer)]
            candidates = [ours(problem, name) for name in names]
            peak = peaks[problem.dtype]
            rows = measure(problem, candidates, (FORWARD, GRADIENT), config.candidates, peak)
            measured += rows
            entries.append(_entry(problem, rows))
            yield Table("Strategies", measured, complete=False)
            progress.advance(1, str(problem))
            jax.clear_caches()
    yield Table("auto", [entry._asdict() for entry in entries])
    others = [entry for entry in table() if entry.backend != jax.default_backend()]
    yield TextFile(TABLE, as_text(others + entries))


def problems(settings: Auto) -> list[Problem]:
    """A problem for each dtype, cell, batch size and number of units."""
    return [
        Problem(cell, Shape(rows, settings.length, hidden, hidden), dtype)
        for dtype in settings.entry_dtypes
        for cell in settings.cells
        for rows in settings.rows
        for hidden in settings.hidden
    ]


def _entry(problem: Problem, rows: Rows) -> Entry:
    forward, gradient = (fastest(rows, pass_) for pass_ in (FORWARD, GRADIENT))
    shape, gates = problem.shape, len(problem.layer.gate_names)
    sizes = gates, shape.batch, shape.hidden
    return Entry(jax.default_backend(), problem.dtype, *sizes, forward, gradient)


def fastest(rows: Rows, pass_: str) -> str:
    """The strategy with the least median of a pass; the plain one unless another is well below.

    What runs by another strategy than its own does not count.
    """
    timed = [r for r in rows if r["pass"] == pass_ and MEDIAN in r and INSTEAD not in r]
    best = min(timed, key=lambda row: row[MEDIAN] * (1 if row["candidate"] == PLAIN else MARGIN))
    return best["candidate"].removeprefix(OURS)


def as_text(entries: list[Entry]) -> str:
    """The entries as tab-separated lines under a head."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(Entry._fields)
    writer.writerows(entries)
    return text.getvalue()
