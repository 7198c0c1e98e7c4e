"""What the trials say: which cell a search ends best with, by how much, and what moves a loss.

Each search of a cell on a task chooses, of all its trials at all sizes, the one with the least loss
on validation; what counts is that trial's loss on test. Searches are independent of each other, so
that their spread is that of the seed, of the learning rates that were drawn and of the choice.
Searches of two cells that have the same number had the same seeds and learning rates: cells are
compared in pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from experiments.lstm_odyssey.config import Config
from rnnlab.arrays import Float
from rnnlab.statistics import Difference, holm, mean_interval, paired_difference
from rnnlab.training.importance import Importance, importance

#: The chance of one false alarm among all comparisons of a task.
ALARM = 0.05
#: What moves a loss, by its place in `Importance.shares`.
HYPERPARAMETERS = {(0,): "learning rate", (1,): "size", (0, 1): "both together"}


class Compared(NamedTuple):
    """A cell on a task.

    Attributes:
        cell: its name.
        losses: on test, of each search's choice `[searches]`.
        interval: of their mean, 95 % by Student's t.
        difference: to those of the reference, in pairs.
        p: of the difference, adjusted by Holm over all cells of the task; None for the reference.
        diverged: how many of all trials.
        trials: all of them.
    """

    cell: str
    losses: Float[np.ndarray, "searches"]
    interval: tuple[float, float]
    difference: Difference
    p: float | None
    diverged: int
    trials: int

    @property
    def mean(self) -> float:
        """The mean of the losses."""
        return float(self.losses.mean())

    @property
    def verdict(self) -> str:
        """Worse or better than the reference, or no difference that was found."""
        if self.p is None:
            return "reference"
        if self.p > ALARM:
            return "no difference found"
        return "worse" if self.difference.mean > 0 else "better"


def settled(data: xr.Dataset, name: str) -> xr.DataArray:
    """A loss of all trials, where a trial that diverged has learned nothing: the baseline."""
    good = (data.diverged_at == 0) & np.isfinite(data[name])
    return data[name].where(good, data.baseline)


def chosen(data: xr.Dataset) -> xr.Dataset:
    """What each search chose: `test`, `learning_rate` and `size`, `[task, cell, search]`."""
    flat = xr.Dataset(
        {
            "validation": settled(data, "validation"),
            "test": settled(data, "test"),
            "learning_rate": data.learning_rate,
            "chosen_size": data["size"].broadcast_like(data.test),
        }
    ).stack(one=("size", "trial"), create_index=False)
    return flat.isel(one=flat.validation.argmin("one")).drop_vars("validation")


def compared(data: xr.Dataset, config: Config, task: str) -> list[Compared]:
    """All cells on a task, the least mean loss first."""
    here = data.sel(task=task)
    losses = chosen(data).test.sel(task=task)
    reference = losses.sel(cell=config.reference).values
    others = [cell for cell in config.cells if cell != config.reference]
    differences = {
        cell: paired_difference(losses.sel(cell=cell).values, reference) for cell in config.cells
    }
    adjusted = dict(zip(others, holm([differences[cell].p for cell in others]), strict=True))
    found = [
        Compared(
            cell,
            losses.sel(cell=cell).values,
            mean_interval(losses.sel(cell=cell).values),
            differences[cell],
            adjusted.get(cell),
            int((here.diverged_at.sel(cell=cell) > 0).sum()),
            here.diverged_at.sel(cell=cell).size,
        )
        for cell in config.cells
    ]
    return sorted(found, key=lambda one: one.mean)


def important(data: xr.Dataset, config: Config, task: str, cell: str) -> Importance:
    """Which of `HYPERPARAMETERS` moves the loss on validation.

    A loss above the baseline counts as the baseline, for how far off a network ends that has
    learned nothing is no matter.
    """
    one = data.sel(task=task, cell=cell)
    losses = np.minimum(settled(one, "validation").values, float(one.baseline))
    low, high = np.log([config.search.lowest_rate, config.search.highest_rate])
    rates = (np.log(one.learning_rate.values) - low) / max(high - low, 1e-12)
    sizes = np.arange(one.sizes["size"]) / max(one.sizes["size"] - 1, 1)
    places = np.broadcast_to(sizes[:, None, None], rates.shape)
    trials = np.stack([rates.ravel(), places.ravel()], axis=1)
    return importance(trials, losses.ravel(), {1: sizes.tolist()})


def by_rate(
    data: xr.Dataset, config: Config, task: str, bins: int
) -> tuple[Float[np.ndarray, "bins+1"], Float[np.ndarray, "cells bins"]]:
    """The median loss on validation of trials whose learning rates lie in the same bin.

    Returns:
        The edges of the bins, which are equally wide in logarithms, and the medians, nan of a bin
        without trials; trials of all sizes and searches are in them.
    """
    one = data.sel(task=task)
    edges = np.geomspace(config.search.lowest_rate, config.search.highest_rate, bins + 1)
    losses = settled(one, "validation").transpose("cell", ...).values.reshape(len(one.cell), -1)
    rates = one.learning_rate.transpose("cell", ...).values.reshape(losses.shape)
    place = np.clip(np.searchsorted(edges, rates, side="right") - 1, 0, bins - 1)
    medians = np.full((len(losses), bins), np.nan)
    for row, column in np.ndindex(medians.shape):
        here = losses[row][place[row] == column]
        if len(here):
            medians[row, column] = np.median(here)
    return edges, medians


def ranks(data: xr.Dataset) -> dict[str, tuple[float, float, float]]:
    """The mean rank of each cell over tasks, 1 is best, and its 95 % interval.

    Each search ranks the cells of each task; the rank of a cell in a search is the mean over tasks,
    and the interval that of the mean over searches by Student's t. It says nothing about other
    tasks.
    """
    from scipy.stats import rankdata  # which takes half a second to import

    losses = chosen(data).test.transpose("cell", "task", "search")
    each = rankdata(losses.values, axis=0).mean(axis=1)
    found = {
        str(cell): (float(values.mean()), *mean_interval(values.tolist()))
        for cell, values in zip(losses.cell.values, each, strict=True)
    }
    return dict(sorted(found.items(), key=lambda item: item[1][0]))
