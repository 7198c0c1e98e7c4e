"""How many times faster than others: for each row, and the smallest ratio over all shapes."""

from __future__ import annotations

from experiments.benchmark.candidate import OURS
from experiments.benchmark.notation import parse_shape
from experiments.benchmark.peers import TORCH
from experiments.benchmark.problem import FORWARD, GRADIENT, GRADIENT_INPUTS
from experiments.benchmark.results import MEDIAN, VERSUS_JAX, VERSUS_PLAIN, VERSUS_TORCH, Rows

PLAIN = f"{OURS}autodiff"

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


def with_speedup(rows: Rows) -> Rows:
    """The rows of one problem with how many times faster each is than plain autodiff."""
    plain = {r["pass"]: r[MEDIAN] for r in rows if r["candidate"] == PLAIN and MEDIAN in r}
    return [
        row | {VERSUS_PLAIN: round(plain[row["pass"]] / row[MEDIAN], 3)}
        if MEDIAN in row and row["pass"] in plain
        else row
        for row in rows
    ]


def summary(rows: Rows) -> Rows:
    """For each layer the smallest ratio over shapes and passes, of our best and of `auto`.

    Shapes with B = 1 or H ≤ 64 are kept apart from those with H ≥ 128.
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
