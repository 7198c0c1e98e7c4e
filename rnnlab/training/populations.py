"""Populations: many seeds of a network trained side by side, at every point of a grid.

Each point is measured once and kept, so that an interrupted run resumes at the next one:

    grid = {"length": (20, 50), "network": ("gru", "lstm")}
    data = populations.measured(workdir, grid, train_one)  # train_one(length, network) -> Dataset
    for one in populations.points(data, grid):
        print(statistics.rate_text(one.solved_at.values))
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from rnnlab.arrays import Array, Float, Params
from rnnlab.run import results
from rnnlab.run.workdir import Workdir


def measured(
    workdir: Workdir, grid: Mapping[str, Sequence[Any]], measure: Callable[..., xr.Dataset]
) -> xr.Dataset:
    """The result: read if it exists, otherwise one training for each point of the grid.

    A finished training is kept in the folder `partial`; an unfinished one resumes from its
    checkpoint.

    Args:
        workdir: of the run.
        grid: dimensions of the result with their coordinates, outermost first.
        measure: measures a point, given its coordinates in that order.
    """
    path, folder = workdir.path(results.FILE), workdir.path(results.PARTIAL)
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


def points(data: xr.Dataset, dimensions: Iterable[str]) -> list[xr.Dataset]:
    """The result at every point of the grid, in the order in which it was measured.

    Args:
        data: the result.
        dimensions: of the grid, outermost first.
    """
    names = list(dimensions)
    coordinates = itertools.product(*(data[name].values for name in names))
    return [data.sel(dict(zip(names, point, strict=True))) for point in coordinates]


def keys(seeds: int) -> Array:
    """The PRNG keys of seeds 0, 1, … `[seeds]`."""
    return jnp.stack([jax.random.key(seed) for seed in range(seeds)])


def member(tree: Params, index: int) -> Params:
    """The parameters of one network, out of a tree whose arrays have an axis of members first."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def series(
    rows: Sequence[dict[str, Any]], name: str, steps: Sequence[int], seeds: int
) -> Float[np.ndarray, "n S"]:
    """A logged number of every seed at the given steps, `[step, seed]`; nan where there is none.

    Args:
        rows: of a log, each with its `step` and lists with a number for each seed.
        name: of the number.
        steps: steps of the result; rows of other steps are left out.
        seeds: number of seeds.
    """
    places = {step: place for place, step in enumerate(steps)}
    values = np.full((len(steps), seeds), np.nan)
    for row in rows:
        if row["step"] in places and name in row:
            values[places[row["step"]]] = numbers(row[name])
    return values


def numbers(values: Sequence[float | None]) -> list[float]:
    """A list read from JSON, where null is a number that is not finite."""
    return [np.nan if value is None else value for value in values]


def last(values: Float[np.ndarray, "n S"]) -> Float[np.ndarray, "S"]:
    """The last row with a finite number, `[step, seed]` to `[seed]`; nan if there is none."""
    taken = np.isfinite(values).any(axis=1)
    return values[np.flatnonzero(taken)[-1]] if taken.any() else np.full(values.shape[1], np.nan)
