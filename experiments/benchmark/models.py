"""Rows of models that are trained: whether candidates agree, and symbols per second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.benchmark.config import Candidates
from experiments.benchmark.peers import TORCH
from experiments.benchmark.ratios import ratio_of
from experiments.benchmark.results import (
    EACH_ROUND,
    FIRST,
    HIGH,
    LOW,
    MEDIAN,
    VERSUS_TORCH,
    Rows,
    interval_of,
    short,
)
from experiments.benchmark.turns import disturbance_columns, quiet_turns
from rnnlab.timing import Program, reason


def measure(
    makers: Mapping[str, Callable[[], Program]],
    about: Mapping[str, Any],
    symbols: int,
    settings: Candidates,
    agree: float,
) -> Rows:
    """A row for each candidate, with how many times faster it is than PyTorch.

    Args:
      makers: what makes the program of each; its result has the losses of its first updates.
      about: the first columns of every row.
      symbols: that a call reads and writes.
      settings: how many turns, and for how long.
      agree: largest relative difference of losses at which candidates agree.
    """
    programs: dict[str, Program] = {}
    notes: dict[str, str] = {}
    for name, make in makers.items():
        try:
            programs[name] = make()
        except Exception as error:
            notes[name] = reason(error)
    wanted = next(iter(programs.values())).result if programs else []
    apart = {name: _difference(wanted, each.result) for name, each in programs.items()}
    notes |= {n: f"disagrees by {d:.2g}, not timed" for n, d in apart.items() if not d <= agree}
    right = {name: each for name, each in programs.items() if name not in notes}
    timed = quiet_turns(right, settings)
    rows = []
    for name in makers:
        row: dict[str, Any] = dict(about) | {
            "candidate": name,
            FIRST: short(programs[name].first if name in programs else None),
        }
        if name in timed.times:
            times = timed.times[name]
            low, high = times.quartiles
            row |= {
                MEDIAN: short(times.median * 1e3),
                LOW: short(low * 1e3),
                HIGH: short(high * 1e3),
                EACH_ROUND: [short(seconds * 1e3) for seconds in times.seconds],
                "tokens/s": round(symbols / times.median),
            }
        row |= {"difference of losses": short(apart.get(name)), **disturbance_columns(timed)}
        note = notes.get(name) or timed.failed.get(name) or timed.disturbance.note
        rows.append(row | {"note": note})
    return _with_ratios(rows)


def _difference(wanted: Sequence[float], found: Sequence[float]) -> float:
    return max(abs(a - b) / abs(a) for a, b in zip(wanted, found, strict=True))


def _with_ratios(rows: Rows) -> Rows:
    """The rows with how many times faster each is than PyTorch, at its fastest."""
    timed = [row for row in rows if row["candidate"].startswith(TORCH) and MEDIAN in row]
    torch = min(timed, key=lambda row: row[MEDIAN], default=None)
    found = []
    for row in rows:
        ratio: dict[str, Any] = {}
        if torch is not None and MEDIAN in row:
            value, interval = ratio_of(torch, row)
            ratio = {VERSUS_TORCH: round(value, 3)}
            ratio |= {} if row is torch else {interval_of(VERSUS_TORCH): interval}
        note = row.pop("note")
        found.append(row | ratio | {"note": note})
    return found
