"""What experiments share that train many seeds of a network side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from rnnlab.run import results
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import wilson_interval


def measured(
    workdir: Workdir, grid: Mapping[str, Sequence[Any]], measure: Callable[..., xr.Dataset]
) -> xr.Dataset:
    """The result: read if it is there, otherwise one training for each point of the grid.

    A finished training is kept in `parts`, an unfinished one continues from its checkpoint.

    Args:
        workdir: of the run.
        grid: dimensions of the result with their coordinates, outermost first.
        measure: makes the part of a point from its coordinates, in that order.
    """
    path, folder = workdir.path(results.FILE), workdir.path(results.PARTS)
    if path.exists():
        return results.load_dataset(path)
    folder.mkdir(exist_ok=True)
    names = list(grid)

    def gather(*chosen: Any) -> xr.Dataset:
        if len(chosen) < len(names):
            name = names[len(chosen)]
            return xr.concat([gather(*chosen, value) for value in grid[name]], dim=name)
        part = folder / f"{name_of(*chosen)}.nc"
        if not part.exists():
            results.save_dataset(measure(*chosen), part)
        return results.load_dataset(part)

    data = gather().assign_coords({name: list(values) for name, values in grid.items()})
    results.save_dataset(data, path)
    return data


def name_of(*coordinates: Any) -> str:
    """Names the training at a point of the grid, and its folder."""
    return "-".join(map(str, coordinates))


def series(
    rows: Sequence[dict[str, Any]], name: str, steps: Sequence[int], seeds: int
) -> np.ndarray:
    """A number of every seed at those steps, `[step, seed]`; nan where there is none.

    Args:
        rows: of a log, each with its `step` and lists of numbers, one for each seed.
        name: of the number.
        steps: the steps of the result; rows of others are left out.
        seeds: how many there are.
    """
    places = {step: place for place, step in enumerate(steps)}
    values = np.full((len(steps), seeds), np.nan)
    for row in rows:
        if row["step"] in places and name in row:
            values[places[row["step"]]] = numbers(row[name])
    return values


def numbers(values: Sequence[float | None]) -> list[float]:
    """A list from JSON, in which null stands for what is not finite."""
    return [np.nan if value is None else value for value in values]


def last(values: np.ndarray) -> np.ndarray:
    """The last measurement of each seed, `[step, seed]` to `[seed]`."""
    taken = np.isfinite(values).any(axis=1)
    return values[np.flatnonzero(taken)[-1]] if taken.any() else np.full(values.shape[1], np.nan)


def middle(values: np.ndarray, form: str) -> str:
    """The median of what is finite, as text."""
    finite = values[np.isfinite(values)]
    return form.format(np.median(finite)) if finite.size else "-"


def success_text(solved_at: np.ndarray) -> str:
    """How many of the seeds have solved a task, with Wilson's 95 % interval of the rate."""
    count, trials = int(np.isfinite(solved_at).sum()), solved_at.size
    low, high = wilson_interval(count, trials)
    return f"{count}/{trials} ({low:.2f} … {high:.2f})"


def draw_success(ax: Axes, x: np.ndarray, solved_at: np.ndarray, **style: Any) -> None:
    """Share of seeds that have solved a task `[x, seed]`, with Wilson's interval, against `x`."""
    trials = solved_at.shape[-1]
    counts = np.isfinite(solved_at).sum(axis=-1)
    rates = counts / trials
    bounds = np.array([wilson_interval(int(count), trials) for count in counts])
    ax.errorbar(x, rates, np.abs(bounds.T - rates), marker="o", capsize=2, **style)


def draw_quartiles(
    ax: Axes, steps: np.ndarray, values: np.ndarray, label: str, **style: Any
) -> None:
    """Median and quartiles of the seeds that are finite, `[step, seed]`, against steps."""
    good = np.isfinite(values).any(axis=1)
    if not good.any():
        return
    # Of the finite ones: a seed that has diverged leaves the others.
    low, median, high = np.nanquantile(values[good], [0.25, 0.5, 0.75], axis=1)
    (line,) = ax.plot(steps[good], median, label=label, **style)
    ax.fill_between(steps[good], low, high, color=line.get_color(), alpha=0.2, linewidth=0)
