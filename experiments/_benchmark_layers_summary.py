"""What the rows of the suite `layers` come to: ratios, the summary over all shapes, pictures."""

from __future__ import annotations

import itertools
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from experiments._benchmark_output import Output
from experiments._benchmark_problem import FORWARD, GRADIENT, GRADIENT_INPUTS, PASSES, parse_shape
from rnnlab import plots
from rnnlab.run.tables import print_table

Rows = list[dict[str, Any]]
TORCH, OURS = "PyTorch", "rnnlab "
MEDIAN, LOW, HIGH = "median (ms)", "lower quartile (ms)", "upper quartile (ms)"
VERSUS_JAX, VERSUS_TORCH = "× best JAX peer", "× PyTorch"

#: The columns of the summary: passes, and against whom.
AIMS = {
    "gradient, against the best JAX peer": ((GRADIENT, GRADIENT_INPUTS), VERSUS_JAX),
    "gradient, against PyTorch": ((GRADIENT, GRADIENT_INPUTS), VERSUS_TORCH),
    "forward, against PyTorch": ((FORWARD,), VERSUS_TORCH),
}


def with_ratios(rows: Rows) -> Rows:
    """The rows of one problem with how many times faster each is than the peers on its pass."""
    result = []
    for row in rows:
        same = [r for r in rows if r["pass"] == row["pass"] and MEDIAN in r]
        jax_peers = [r[MEDIAN] for r in same if not r["candidate"].startswith((OURS, TORCH))]
        torch = [r[MEDIAN] for r in same if r["candidate"] == TORCH]
        ratios = {
            name: round(min(medians) / row[MEDIAN], 3)
            for name, medians in ((VERSUS_JAX, jax_peers), (VERSUS_TORCH, torch))
            if medians and MEDIAN in row
        }
        note = row["note"]
        result.append({k: v for k, v in row.items() if k != "note"} | ratios | {"note": note})
    return result


def show(title: str, rows: Rows) -> None:
    """Prints one problem: candidates by passes, medians with quartiles, what could not be timed."""
    table = []
    for name in dict.fromkeys(row["candidate"] for row in rows):
        mine = {row["pass"]: row for row in rows if row["candidate"] == name}
        table.append({"candidate": name} | {pass_: _cell(row) for pass_, row in mine.items()})
    print_table(table, title=title)


def _cell(row: dict[str, Any]) -> str:
    if MEDIAN not in row:
        return row["note"]
    return f"{row[MEDIAN]:.4g} ({row[LOW]:.4g}–{row[HIGH]:.4g})"


def summarise(rows: Rows, output: Output) -> None:
    """Writes the summary of each dtype and a picture of each layer."""
    for dtype in dict.fromkeys(row["dtype"] for row in rows):
        table = summary([row for row in rows if row["dtype"] == dtype])
        output.table(f"Layers: smallest ratio over the shapes, {dtype}", table)
    for layer in dict.fromkeys(row["layer"] for row in rows):
        mine = [row for row in rows if row["layer"] == layer]
        name = layer.replace(":", "-")
        with plots.style():
            output.figure(
                f"layers-{name}",
                draw(mine),
                caption=f"Layer {layer}: time of a call, median and quartiles, logarithmic scale. "
                "Left is faster.",
                alt=f"Times of all candidates of {layer}, for each shape, pass and dtype.",
            )


def summary(rows: Rows) -> Rows:
    """For each layer the smallest ratio over shapes and passes, of our best and of `auto`.

    Over the shapes with B = 1 or H ≤ 64 stands apart from that over the shapes with H ≥ 128.
    """
    table = []
    for layer in dict.fromkeys(row["layer"] for row in rows):
        mine = [row for row in rows if row["layer"] == layer and row["candidate"].startswith(OURS)]
        for who in ("best strategy", "auto"):
            chosen = [r for r in mine if who != "auto" or r["candidate"] == f"{OURS}auto"]
            if not chosen:
                continue
            line = {"layer": layer, "rnnlab": who}
            for aim, (passes, versus) in AIMS.items():
                for small, where in ((False, "H ≥ 128"), (True, "B = 1 or H ≤ 64")):
                    line[f"{aim}, {where}"] = _smallest(chosen, passes, versus, small)
            table.append(line)
    return table


def _smallest(rows: Rows, passes: tuple[str, ...], versus: str, small: bool) -> str:
    """The smallest over shapes and passes of the largest over candidates, and where it is."""
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        shape = parse_shape("shape", row["shape"])
        belongs = shape.is_small if small else shape.is_large
        if row["pass"] in passes and belongs and versus in row:
            key = (row["shape"], row["pass"])
            best[key] = max(best.get(key, 0.0), row[versus])
    if not best:
        return "–"
    (shape, _), ratio = min(best.items(), key=lambda item: item[1])
    return f"{ratio:.2f} at {shape}"


def draw(rows: Rows) -> Figure:
    """Dots with quartiles: candidates by time, a column for each pass, a row for each dtype."""
    dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
    names = list(dict.fromkeys(row["candidate"] for row in rows))[::-1]
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    height = len(dtypes) * (0.28 * len(names) + 1.2)
    figure, axes = plots.subplots(len(dtypes), len(PASSES), width=13, height=height, sharey=True)
    for (i, dtype), (j, pass_) in itertools.product(enumerate(dtypes), enumerate(PASSES)):
        ax = axes[i, j]
        for number, shape in enumerate(shapes):
            mine = [
                row
                for row in rows
                if (row["dtype"], row["pass"], row["shape"]) == (dtype, pass_, shape)
                and MEDIAN in row
            ]
            middle = [row[MEDIAN] for row in mine]
            spread = [[r[MEDIAN] - r[LOW] for r in mine], [r[HIGH] - r[MEDIAN] for r in mine]]
            ax.errorbar(
                middle,
                [names.index(row["candidate"]) for row in mine],
                xerr=spread if mine else None,
                fmt="osD^vP"[number % 6],
                color=plots.COLORS[number % len(plots.COLORS)],
                markersize=4.5,
                label=shape,
            )
        ax.set(title=f"{pass_}, {dtype}", xscale="log", xlabel="milliseconds")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_yticks(range(len(names)), names)
        ax.grid(axis="x", alpha=0.25)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        title="B x T x D x H",
        loc="outside lower center",
        ncols=len(shapes),
    )
    return figure
