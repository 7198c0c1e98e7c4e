"""Time and memory of an LSTM's gradient against T, H and B; compile time against T and depth.

The exponent `p` of `time ∝ size^p` is a least-squares line through the logarithms. Memory is what
XLA reserves for temporaries: the residuals of the backward pass, for the most part.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from matplotlib.figure import Figure

from experiments._benchmark_layers import Rows, float32_products, gather, measure
from experiments._benchmark_layers_summary import HIGH, LOW, MEDIAN
from experiments._benchmark_output import Output
from experiments._benchmark_problem import GRADIENT, Problem, Shape, parse_shape
from experiments._benchmark_timing import exponent, matrix_product_peak, short
from rnnlab import plots
from rnnlab.run.progress import Progress

LAYER, DTYPE, PEER = "lstm", "float32", "Flax Linen"
AXES = {"T": "time", "H": "hidden", "B": "batch"}
DEPTH = "depth"
FIRST, MEMORY = "first (s)", "temporaries (MiB)"


def run(config: Any, output: Output) -> None:
    """Measures size after size, and writes what there is after each."""
    base = parse_shape("base", config.base)
    rows: Rows = []
    plan = [
        *(
            (axis, size, *_along(base, axis, size))
            for axis in AXES
            for size in _sizes(config, axis)
        ),
        *((DEPTH, depth, f"{LAYER}:{depth}", base) for depth in _powers(config.points)),
    ]
    with float32_products(), Progress("scaling", total=len(plan)) as progress:
        peak = matrix_product_peak(DTYPE)
        for axis, size, layer, shape in plan:
            problem = Problem(layer, shape, DTYPE)
            chosen = [c for c in gather(problem)[0] if _belongs(c.name)]
            new = measure(problem, chosen, (GRADIENT,), config, peak)
            rows += [{"axis": axis, "size": size} | row for row in new]
            output.table(f"Scaling of the gradient, around {base}, {DTYPE}", rows, show=False)
            progress.advance(1, f"{axis} = {size}")
            jax.clear_caches()
    output.table("Scaling: exponents", exponents(rows))
    with plots.style():
        output.figure(
            "scaling",
            draw(rows),
            caption=f"Gradient of an LSTM around B x T x D x H = {base}, {DTYPE}, logarithmic "
            "scales: time (median, quartiles), temporaries of XLA, and the first call.",
            alt="Time, memory and compile time against sequence length, width, batch and depth.",
        )


def exponents(rows: Rows) -> Rows:
    """Fitted exponents of time, memory and first call for each axis and candidate."""
    table = []
    for axis in dict.fromkeys(row["axis"] for row in rows):
        for name in dict.fromkeys(row["candidate"] for row in rows):
            mine = [r for r in rows if (r["axis"], r["candidate"]) == (axis, name)]
            fits = {what: short(exponent(*_points(mine, what))) for what in (MEDIAN, MEMORY, FIRST)}
            table.append({"against": axis, "candidate": name} | fits)
    return table


def draw(rows: Rows) -> Figure:
    """Rows of axes: time, memory, first call; columns: T, H, B, depth."""
    axes_of = list(dict.fromkeys(row["axis"] for row in rows))
    names = list(dict.fromkeys(row["candidate"] for row in rows))
    whats = (MEDIAN, MEMORY, FIRST)
    figure, axes = plots.subplots(len(whats), len(axes_of), width=13, height=10, sharex="col")
    for i, what in enumerate(whats):
        for j, axis in enumerate(axes_of):
            ax = axes[i, j]
            for number, name in enumerate(names):
                mine = [r for r in rows if (r["axis"], r["candidate"]) == (axis, name)]
                sizes, values = _points(mine, what)
                spread = None
                if what == MEDIAN:
                    timed = [row for row in mine if MEDIAN in row]
                    low = [row[MEDIAN] - row[LOW] for row in timed]
                    spread = [low, [row[HIGH] - row[MEDIAN] for row in timed]]
                look = {"color": plots.COLORS[number % 7], "marker": "osD^vPX"[number % 7]}
                ax.errorbar(sizes, values, yerr=spread, label=name, markersize=4, **look)
            ax.set_xscale("log", base=2)
            ax.set_yscale("log")
            ax.grid(alpha=0.25)
            ax.set(xlabel=axis if i == len(whats) - 1 else "", ylabel="" if j else what)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(names))
    return figure


def _points(rows: Rows, what: str) -> tuple[list[float], list[float]]:
    """Sizes and values of the rows that have the number."""
    known = [(row["size"], row[what]) for row in rows if row.get(what) not in (None, "")]
    return [size for size, _ in known], [value for _, value in known]


def _belongs(name: str) -> bool:
    return name.startswith("rnnlab ") or name == PEER


def _powers(points: int) -> list[int]:
    return [2**k for k in range(points)]


def _sizes(config: Any, axis: str) -> list[int]:
    """Doublings around the size of the base."""
    middle = getattr(parse_shape("base", config.base), AXES[axis])
    return sorted(
        {max(1, middle * power // 2 ** (config.points // 2)) for power in _powers(config.points)}
    )


def _along(base: Shape, axis: str, size: int) -> tuple[str, Shape]:
    return LAYER, dataclasses.replace(base, **{AXES[axis]: size})
