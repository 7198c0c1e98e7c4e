"""The candidates of one problem: who they are, whether they agree, how fast they are.

All candidates of one layer, shape, dtype and pass take turns in one process. Before that each must
give the outputs or gradients of the reference, on the same weights; one that does not, or cannot
run, has a row that says why, and no time.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from experiments.benchmark import config
from experiments.benchmark.agreement import TOLERANCES, difference
from experiments.benchmark.candidate import OURS, Candidate, ours
from experiments.benchmark.peers import Peer, check_version
from experiments.benchmark.problem import Problem
from experiments.benchmark.ratios import with_ratios
from experiments.benchmark.results import (
    EACH_ROUND,
    FIRST,
    HIGH,
    INSTEAD,
    LOW,
    MEDIAN,
    MEMORY,
    Rows,
    short,
)
from experiments.benchmark.turns import disturbance_columns, quiet_turns
from rnnlab.strategies import StrategyWarning, supported
from rnnlab.timing import Program, Times, reason


def strategies_for(problem: Problem, asked: Sequence[str]) -> list[str]:
    """The strategies asked for, or all, without those that cannot run the layer here."""
    return [name for name in supported(problem.layer) if not asked or name in asked]


def gather(
    problem: Problem, strategies: Sequence[str], peers: Sequence[Peer]
) -> tuple[list[Candidate], Rows]:
    """Those strategies and peers that have the layer, and rows about those that do not.

    Args:
      problem: what is to be computed.
      strategies: names of strategies of ours; none for all.
      peers: other libraries.
    """
    makers: dict[str, Callable[[], Candidate]] = {
        f"{OURS}{name}": partial(ours, problem, name)
        for name in strategies_for(problem, strategies)
    }
    makers |= {
        peer.name: partial(_installed, peer, problem) for peer in peers if peer.applies(problem)
    }
    candidates: list[Candidate] = []
    left_out: Rows = []
    for name, make in makers.items():
        try:
            candidates.append(make())
        except Exception as error:
            row = {"candidate": name, "layer": problem.name, "reason": reason(error)}
            left_out.append(row)
    return candidates, left_out


def _installed(peer: Peer, problem: Problem) -> Candidate:
    check_version(peer)
    return peer.candidate(problem)


def measure(
    problem: Problem,
    candidates: Sequence[Candidate],
    passes: Sequence[str],
    turns: config.Candidates,
    peak: float | None,
) -> Rows:
    """Rows of all passes of all candidates of a problem.

    Args:
      problem: what they compute.
      candidates: who is timed; in each pass they take turns.
      passes: which passes.
      turns: how many turns, and for how long.
      peak: the most GFLOP/s that a matrix product reaches; None leaves out the share of it.
    """
    rows: Rows = []
    for pass_ in passes:
        found = {each.name: _compiled(problem, each, pass_) for each in candidates}
        programs = {
            name: each.program
            for name, each in found.items()
            if each.program is not None and not each.note
        }
        timed = quiet_turns(programs, turns)
        for name, each in found.items():
            row = {
                "layer": problem.name,
                "shape": str(problem.shape),
                "dtype": problem.dtype,
                "pass": pass_,
                "candidate": name,
                **_numbers(problem, pass_, each.program, timed.times.get(name), peak),
                "difference": short(each.difference),
                **disturbance_columns(timed),
                **({INSTEAD: each.remark} if each.remark else {}),
                "note": timed.failed.get(name, each.note)
                or "; ".join(filter(None, (each.remark, timed.disturbance.note))),
            }
            rows.append(row)
    return with_ratios(rows)


@dataclasses.dataclass(frozen=True)
class _Compiled:
    """A compiled pass of a candidate.

    Attributes:
      program: the compiled pass, without its result; None where it failed.
      difference: how far its result was from the reference; None where it failed.
      note: why it is not timed; empty if it is.
      remark: what runs instead, where a strategy of ours does not run the layer its own way.
    """

    program: Program | None = None
    difference: float | None = None
    note: str = ""
    remark: str = ""


def _compiled(problem: Problem, candidate: Candidate, pass_: str) -> _Compiled:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", StrategyWarning)
            program = candidate.program(pass_)
        distance = difference(problem, candidate, pass_, program.result)
    except Exception as error:
        return _Compiled(note=reason(error))
    said = [str(each.message) for each in caught if each.category is StrategyWarning]
    agrees = distance <= TOLERANCES[problem.dtype]
    note = "" if agrees else f"disagrees by {distance:.2g}, not timed"
    remark = said[0] if said else ""
    return _Compiled(dataclasses.replace(program, result=None), distance, note, remark)


def _numbers(
    problem: Problem, pass_: str, program: Program | None, times: Times | None, peak: float | None
) -> dict[str, Any]:
    row: dict[str, Any] = {FIRST: short(program.first if program else None)}
    if times is not None:
        speed = problem.flops(pass_) / times.median / 1e9
        low, high = times.quartiles
        row |= {
            MEDIAN: short(times.median * 1e3),
            LOW: short(low * 1e3),
            HIGH: short(high * 1e3),
            "rounds": len(times.seconds),
            EACH_ROUND: [short(seconds * 1e3) for seconds in times.seconds],
            "GFLOP/s": short(speed),
        }
        if peak is not None:
            row["share of peak"] = short(speed / peak)
    if program is not None and program.temporaries is not None:
        row[MEMORY] = short(program.temporaries / 2**20)
    return row
