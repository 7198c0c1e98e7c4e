"""Training of a model that translates, in rnnlab and in PyTorch: tokens per second."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from experiments.benchmark.candidate import OURS
from experiments.benchmark.config import Config
from experiments.benchmark.peers import TORCH
from experiments.benchmark.ratios import ratio_of
from experiments.benchmark.results import (
    EACH_ROUND,
    FIRST,
    HIGH,
    LOW,
    MEDIAN,
    VERSUS_TORCH,
    Result,
    Rows,
    Table,
    interval_of,
    short,
)
from experiments.benchmark.translators import Task, candidates, make_task
from experiments.benchmark.turns import disturbance_columns, quiet_turns
from rnnlab.timing import Program, reason

TITLE = "Training a model that translates, float32"
#: Largest relative difference of the losses of the first updates at which candidates agree.
AGREE = 1e-4


def run(config: Config) -> Iterator[Result]:
    """Times sentences of one length, and then of several, which are padded."""
    rows: Rows = []
    for varied in (False, True):
        rows += _measure(config, make_task(config.translation, varied))
        yield Table(TITLE, list(rows), complete=varied)


def _measure(config: Config, task: Task) -> Rows:
    strategies = {f"{OURS}{name}": name for name in config.translation.model_strategies}
    makers = candidates(task, strategies, "torch" in config.candidates.peers)
    programs: dict[str, Program] = {}
    notes: dict[str, str] = {}
    for name, make in makers.items():
        try:
            programs[name] = make()
        except Exception as error:
            notes[name] = reason(error)
    wanted = next(iter(programs.values())).result if programs else []
    apart = {name: _difference(wanted, each.result) for name, each in programs.items()}
    notes |= {n: f"disagrees by {d:.2g}, not timed" for n, d in apart.items() if not d <= AGREE}
    right = {name: each for name, each in programs.items() if name not in notes}
    timed = quiet_turns(right, config.candidates)
    times = timed.times
    rows = []
    for name in makers:
        row: dict[str, Any] = {
            "sentences": _sentences(task),
            "candidate": name,
            FIRST: short(programs[name].first if name in programs else None),
        }
        if name in times:
            low, high = times[name].quartiles
            row |= {
                MEDIAN: short(times[name].median * 1e3),
                LOW: short(low * 1e3),
                HIGH: short(high * 1e3),
                EACH_ROUND: [short(seconds * 1e3) for seconds in times[name].seconds],
                "tokens/s": round(task.symbols / times[name].median),
            }
        row |= {
            "difference of losses": short(apart.get(name)),
            **disturbance_columns(timed),
        }
        note = notes.get(name) or timed.failed.get(name) or timed.disturbance.note
        rows.append(row | {"note": note})
    return _with_ratios(rows)


def _difference(wanted: list[float], found: list[float]) -> float:
    return max(abs(a - b) / abs(a) for a, b in zip(wanted, found, strict=True))


def _sentences(task: Task) -> str:
    source, target = task.batch.values
    steps = f"{source.shape[1]} and {target.shape[1] - 1} steps"
    return f"{len(source)} pairs, {'up to ' if task.varied else ''}{steps}"


def _with_ratios(rows: Rows) -> Rows:
    """The rows with how many times faster each is than PyTorch."""
    torch = next((row for row in rows if row["candidate"] == TORCH and MEDIAN in row), None)
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
