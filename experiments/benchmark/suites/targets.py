"""What was aimed at and whether it is reached here: one table, a line for each layer and shape.

Aims about another kind of device have one line that says so, and opponents that are not installed
one line that says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax

from experiments.benchmark import aims
from experiments.benchmark.aims import WHAT, Aim, is_opponent, overall, verdict
from experiments.benchmark.characters import MODES
from experiments.benchmark.comparison import gather, measure
from experiments.benchmark.config import AIMS as NAMES
from experiments.benchmark.config import Config
from experiments.benchmark.notation import parse_shape
from experiments.benchmark.peers import PEERS, TORCH, Peer, chosen
from experiments.benchmark.problem import GRADIENT, Problem
from experiments.benchmark.results import Comparison, Result, Rows, Table
from experiments.benchmark.suites import characters
from rnnlab import precision
from rnnlab.run.progress import Progress

TITLE = "Aims"
#: The title of the table of all candidates.
CANDIDATES = "Layers of the aims"
#: Strategies of ours that take part, those that run: the ones that other settings are made of, and
#: that double no work of others, do not.
STRATEGIES = ("autodiff", "hoisted", "stepwise", "persistent", "split", "cudnn", "auto")


def run(config: Config) -> Iterator[Result]:
    """Measures aim by aim; a problem that several aims are about is measured once."""
    asked = config.targets.aims or NAMES
    device = device_kind()
    lines: Rows = []
    for name in asked:
        if not name.startswith(device):
            title = aims.AIMS[name].title if name in aims.AIMS else aims.CHARACTERS_TITLE
            lines.append({WHAT: title, aims.VERDICT: f"skipped: this is a {device}"})
    mine = {name: aims.AIMS[name] for name in asked if name in aims.AIMS}
    mine = {name: aim for name, aim in mine.items() if aim.device == device}
    plan = problems(config, mine)
    measured: Rows = []
    with precision.products(), Progress("targets", total=len(plan)) as progress:
        for problem, about in plan:
            rows = _measure(config, problem, [mine[name] for name in about])
            measured += rows
            for name in about:
                lines.append(_line(mine[name], problem, rows))
            yield Comparison(str(problem), [row for row in rows if "pass" in row])
            yield Table(CANDIDATES, [row for row in measured if "pass" in row], complete=False)
            yield Table(TITLE, _sorted(lines), complete=False)
            progress.advance(1, str(problem))
            jax.clear_caches()
    if aims.CHARACTERS in asked and device == "gpu":
        for rows in _characters(config):
            lines += rows
            yield Table(TITLE, _sorted(lines), complete=False)
    for aim in mine.values():
        each = f"{aim.each:g}" + ("" if aim.wide is None else f" or {aim.wide:g}")
        lines.append(overall(aim.title, lines, each, aim.median))
    yield Table(TITLE, _sorted(lines))


def device_kind() -> str:
    """Gpu or cpu; another accelerator measures the aims of neither."""
    return jax.default_backend()


def problems(config: Config, mine: dict[str, Aim]) -> list[tuple[Problem, list[str]]]:
    """What is measured, and the aims that are about it."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, aim in mine.items():
        for shape in config.targets.only_shapes or aim.shapes:
            for layer in aim.layers:
                if layer in (config.targets.only_layers or aim.layers):
                    found.setdefault((layer, shape, aim.dtype), []).append(name)
    return [
        (Problem(layer, parse_shape("only_shapes", shape), dtype), names)
        for (layer, shape, dtype), names in found.items()
    ]


def peers_of(config: Config, about: Sequence[Aim]) -> list[Peer]:
    """The opponents of some aims, those that the configuration allows."""
    allowed = {peer.name for peer in chosen(config.candidates.peers)}
    names = dict.fromkeys(name for aim in about for name in aim.peers)
    return [PEERS[name] for name in names if PEERS[name].name in allowed]


def _measure(config: Config, problem: Problem, about: Sequence[Aim]) -> Rows:
    """The rows of all candidates of a problem, and those of opponents that are left out."""
    strategies = config.candidates.strategies or STRATEGIES
    candidates, left_out = gather(problem, strategies, peers_of(config, about))
    rows = measure(problem, candidates, (GRADIENT,), config.candidates, None)
    return rows + [row | {"note": row["reason"]} for row in left_out]


def _line(aim: Aim, problem: Problem, rows: Rows) -> dict[str, Any]:
    opponent = is_opponent(aim, [PEERS[name].name for name in aim.peers])
    where = f"{problem.name} {problem.shape}"
    return verdict(aim.title, where, rows, opponent, aim.at(problem.shape))


def _characters(config: Config) -> Iterator[Rows]:
    """The lines of the character model, mode by mode."""
    title, least = aims.CHARACTERS_TITLE, aims.CHARACTERS_LEAST
    lines: Rows = []
    for mode in MODES:
        strategies = config.candidates.strategies or STRATEGIES
        rows = characters.measure(config, mode, strategies)
        lines.append(verdict(title, mode, rows, lambda name: name.startswith(TORCH), least))
        yield lines[-1:]
    yield [overall(title, lines, f"{least:g}", None)]


def _sorted(lines: Rows) -> Rows:
    """The lines of one aim together, in the order of the aims, skipped ones last."""
    order = [*(aim.title for aim in aims.AIMS.values()), aims.CHARACTERS_TITLE]
    skipped = [line for line in lines if "where" not in line]
    measured = [line for line in lines if "where" in line]
    return sorted(measured, key=lambda line: order.index(line[WHAT])) + skipped
