"""How many times faster than others: for each row, and the smallest ratio over all shapes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from experiments.benchmark.candidate import OURS
from experiments.benchmark.notation import parse_shape
from experiments.benchmark.peers import TORCH
from experiments.benchmark.problem import FORWARD, GRADIENT, GRADIENT_INPUTS
from experiments.benchmark.results import (
    EACH_ROUND,
    MEDIAN,
    VERSUS_JAX,
    VERSUS_PLAIN,
    VERSUS_TORCH,
    Rows,
    interval_of,
)
from rnnlab import precision
from rnnlab.statistics import ratio_interval
from rnnlab.timing import LEAST_ROUNDS

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
        jax_peers = [r for r in same if not r["candidate"].startswith((OURS, TORCH))]
        torch = [r for r in same if is_comparable_torch(r["candidate"])]
        ratios = {}
        for name, peers in ((VERSUS_JAX, jax_peers), (VERSUS_TORCH, torch)):
            if peers and MEDIAN in row:
                ratios |= _ratio(name, min(peers, key=lambda r: r[MEDIAN]), row)
        note = row["note"]
        result.append({k: v for k, v in row.items() if k != "note"} | ratios | {"note": note})
    return result


def is_comparable_torch(candidate: str) -> bool:
    """Whether a candidate is PyTorch; TF32 counts only where JAX multiplies float32 so as well."""
    exact = precision.in_use() in ("float32", "not set")
    return candidate.startswith(TORCH) and not (exact and candidate.endswith("tf32"))


def with_speedup(rows: Rows) -> Rows:
    """The rows of one problem with how many times faster each is than plain autodiff."""
    plain = {r["pass"]: r for r in rows if r["candidate"] == PLAIN and MEDIAN in r}
    return [
        row | _ratio(VERSUS_PLAIN, plain[row["pass"]], row)
        if MEDIAN in row and row["pass"] in plain
        else row
        for row in rows
    ]


def _ratio(name: str, slow: dict[str, Any], fast: dict[str, Any]) -> dict[str, Any]:
    """How many times faster one row is than another, with the interval where rounds are known."""
    ratio, interval = ratio_of(slow, fast)
    found: dict[str, Any] = {name: round(ratio, 3)}
    return found | ({interval_of(name): interval} if interval and slow is not fast else {})


def ratio_of(slow: dict[str, Any], fast: dict[str, Any]) -> tuple[float, str]:
    """The ratio of the medians of two rows, and its interval; empty where rounds are too few.

    Both are over the rounds in which both had their turn: one may have stopped early.
    """
    rounds = slow.get(EACH_ROUND) or (), fast.get(EACH_ROUND) or ()
    count = min(map(len, rounds))
    if count < LEAST_ROUNDS:
        return slow[MEDIAN] / fast[MEDIAN], ""
    first, second = (each[:count] for each in rounds)
    return statistics.median(first) / statistics.median(second), interval_text(first, second)


def interval_text(slow: Sequence[float], fast: Sequence[float]) -> str:
    """The interval of a ratio, from the times of each round; empty for too few of them."""
    if len(slow) < LEAST_ROUNDS:
        return ""
    low, high = ratio_interval(slow, fast)
    return f"{low:.3g} … {high:.3g}"


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
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        shape = parse_shape("shape", row["shape"])
        belongs = shape.is_small if small else shape.is_large
        if row["pass"] in passes and belongs and versus in row:
            key = (row["shape"], row["pass"])
            best[key] = max(best.get(key, row), row, key=lambda r: r[versus])
    if not best:
        return "–"
    (shape, _), row = min(best.items(), key=lambda item: item[1][versus])
    interval = row.get(interval_of(versus))
    return f"{row[versus]:.2f}{f' ({interval})' if interval else ''} at {shape}"
