"""The sweep against a loop over its points in JAX and in PyTorch."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from experiments.benchmark import config
from experiments.benchmark.ratios import interval_text
from experiments.benchmark.results import OTHERS, Result, Rows, Table, interval_of
from experiments.benchmark.sweep_loops import Loop, Norms, draw_networks, jax_loop, torch_loop
from rnnlab import sweep
from rnnlab.errors import RunError
from rnnlab.run.load import Load
from rnnlab.run.progress import Progress
from rnnlab.sweep.grid import Grid

OURS = "rnnlab sweep"
#: Largest difference in log10 at which two candidates agree, in float32. Chaotic points differ by
#: more, see `compare`.
AGREE = 0.01


def run(config: config.Config) -> Iterator[Result]:
    """Times every width, and the first one with many lengths."""
    settings = config.sweep
    grids = [(hidden, settings.lengths) for hidden in settings.hidden]
    if settings.many_lengths:
        grids.append((settings.hidden[0], _evenly(max(settings.lengths), settings.many_lengths)))
    rows: Rows = []
    with Progress("sweep", total=len(grids) * (settings.rounds + 1)) as progress:
        for hidden, lengths in grids:
            grid = _grid(settings, hidden, lengths)
            # PyTorch takes minutes for the many lengths.
            few = len(lengths) <= len(settings.lengths)
            candidates = _candidates(grid, with_torch=few and "torch" in config.candidates.peers)
            rows += _measure(grid, candidates, settings.rounds, progress)
    yield Table("Gradient-norm sweep, tanh, float32", rows)


def _evenly(longest: int, count: int) -> tuple[int, ...]:
    return tuple(sorted({round(longest * (i + 1) / count) for i in range(count)} - {0}))


def _grid(settings: config.Sweep, hidden: int, lengths: tuple[int, ...]) -> Grid:
    return Grid(
        cells=("tanh",),
        scales=settings.radii,
        hidden=(hidden,),
        lengths=lengths,
        input_scales=(0.1,),
        seeds=settings.seeds,
        batch=settings.batch,
        features=8,
        dtype="float32",
    )


def _candidates(grid: Grid, with_torch: bool) -> dict[str, Loop]:
    networks = draw_networks(grid)
    candidates: dict[str, Loop] = {
        OURS: lambda: _sweep(grid),
        "jit(grad) loop": jax_loop(networks, grid.sorted_lengths),
    }
    if with_torch and importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed, left out; pip install 'rnnlab[peers]' adds it")
    elif with_torch:
        candidates["PyTorch loop"] = torch_loop(networks, grid.sorted_lengths)
    return candidates


def _sweep(grid: Grid) -> Norms:
    """What a user calls; drawing, measuring radii and labelling included."""
    result = sweep.run(grid)
    axes = ("radius", "seed", "length")
    others = [name for name in result["log10_grad_h"].dims if name not in axes]
    both = [result[name].squeeze(others) for name in ("log10_grad_h", "log10_grad_wh")]
    stacked = np.stack([a.transpose(*axes).to_numpy() for a in both], -1)
    return stacked.reshape(-1, *stacked.shape[2:])


def _measure(grid: Grid, candidates: dict[str, Loop], rounds: int, progress: Progress) -> Rows:
    """A row for each candidate: its first call, and the median of the rounds that follow."""
    first, norms = {}, {}
    warm: dict[str, list[float]] = {name: [] for name in candidates}
    where = f"H={grid.hidden[0]}, {len(grid.lengths)} lengths"
    jax.clear_caches()
    for name, candidate in candidates.items():
        first[name], norms[name] = _clock(candidate)
    progress.advance(1, f"{where}: first calls")
    load = Load()
    for round_ in range(rounds):
        for name, candidate in candidates.items():
            warm[name].append(_clock(candidate)[0])
        progress.advance(1, f"{where}: round {round_ + 1}")
    others = load.others()
    medians = {name: statistics.median(seconds) for name, seconds in warm.items()}
    return [
        {
            "H": grid.hidden[0],
            "lengths": len(grid.lengths),
            "candidate": name,
            "first (s)": round(first[name], 2),
            "warm (s)": round(medians[name], 3),
            "× first": round(first[name] / first[OURS], 2),
            "× warm": round(medians[name] / medians[OURS], 2),
            interval_of("× warm"): "" if name == OURS else interval_text(warm[name], warm[OURS]),
            OTHERS: None if others is None else round(others, 2),
            **_agreement(name, norms, grid),
        }
        for name in candidates
    ]


def _clock(loop: Loop) -> tuple[float, Norms]:
    start = time.perf_counter()
    result = loop()
    return time.perf_counter() - start, result


def _agreement(name: str, norms: dict[str, Norms], grid: Grid) -> dict[str, Any]:
    """How many norms a candidate has lost, and how far the others are from ours."""
    is_ours = name == OURS
    log10 = norms[name] if is_ours else _log10(norms[name])
    return {
        "0, inf or NaN": int((~np.isfinite(log10)).sum()),
        "of": log10.size,
        "largest difference": "" if is_ours else compare(norms[OURS], norms[name], grid),
    }


def compare(log10_ours: Norms, theirs: Norms, grid: Grid) -> float:
    """Largest difference in log10 where both are numbers and the network is not chaotic.

    In the chaotic regime two float32 programs follow two trajectories: their gradients are both
    right, for different paths, so that only radii up to 1.1 are compared. Near the floor of
    float32 the loops lose digits to subnormal numbers; points below 1e-17 are left out, since a
    norm squares them.

    Raises:
      RunError: they disagree, so that timing them would mean nothing.
    """
    log10_theirs = _log10(theirs)
    calm = np.repeat(np.asarray(grid.scales) <= 1.1, grid.seeds)[:, None, None]
    both = np.isfinite(log10_theirs) & (log10_theirs > -17) & calm
    difference = float(np.abs(np.where(both, log10_ours - log10_theirs, 0)).max())
    if difference > AGREE:
        raise RunError(
            f"benchmark: candidates differ by {difference:.3g} in log10, more than {AGREE}"
        )
    return round(difference, 6)


def _log10(values: Norms) -> Norms:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values)
