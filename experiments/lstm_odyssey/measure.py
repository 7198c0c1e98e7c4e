"""Trains all trials of every task, cell and size, a group of them at a time.

The trials of a group have one width and differ in seed and learning rate: they are one program. A
group that has finished is kept, and a run that was stopped goes on with the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr

from experiments.lstm_odyssey import tasks
from experiments.lstm_odyssey.config import Config
from experiments.lstm_odyssey.tasks import Task
from rnnlab.arrays import Array, Float, Key, Params
from rnnlab.run import results
from rnnlab.run.workdir import Workdir
from rnnlab.training import brief, devices
from rnnlab.training.optimisers import Clip
from rnnlab.training.search import RandomRate, scaled_optimiser
from rnnlab.training.sizing import count_parameters, widest

#: Dimensions of the result; a group has the last two.
DIMENSIONS = ("task", "cell", "size", "search", "trial")


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """The result: read, or trained as far as it is not there."""
    done = workdir.path(results.FILE).exists()
    # All at once, so that data that are missing are missed before anything is trained.
    read = {} if done else {name: tasks.read(config, name) for name in config.tasks}
    jobs = {
        f"{task}-{cell.replace(':', '.')}-{size:g}": partial(group, config, read, task, cell, size)
        for task in config.tasks
        for cell in config.cells
        for size in config.search.sizes
    }
    return results.measured(workdir, "lstm_odyssey", jobs, partial(combine, config))


def group(
    config: Config, read: Mapping[str, Task], name: str, cell: str, size: float
) -> xr.Dataset:
    """All trials of a cell at a size.

    Args:
        config: of the run.
        read: the tasks by their names.
        name: of the task.
        cell: its name.
        size: how many times the parameters of the task, at most.
    """
    task, strategy = read[name], config.training.strategy

    def parameters(hidden: int) -> int:
        return count_parameters(task.model(cell, hidden, strategy).init)

    hidden = widest(parameters, int(size * task.parameters))
    learner = learner_of(config, task, cell, hidden)
    found = train(config, task, learner, keys(config, size))
    search = config.search
    shape = (search.searches, search.trials)
    data = xr.Dataset(
        {
            name: (DIMENSIONS[3:], np.asarray(values).reshape(shape))
            for name, values in found.items()
        }
    )
    data["hidden"], data["parameters"] = hidden, parameters(hidden)
    data["baseline"], data["unit"] = task.baseline, task.unit
    best = float(data.validation.where(data.diverged_at == 0).min())
    data.attrs["numbers"] = f"{name} {cell} {size:g}: best {best:.4g} {task.unit}"
    return data


def keys(config: Config, size: float) -> Key:
    """A key for each trial, `[searches * trials]`; of every cell and task the same."""
    place = config.search.sizes.index(size)
    whole = jax.random.fold_in(jax.random.key(config.seed), place)
    return jax.random.split(whole, config.search.searches * config.search.trials)


def learner_of(config: Config, task: Task, cell: str, hidden: int) -> RandomRate:
    """What trains a trial."""
    training, search = config.training, config.search
    model = task.model(cell, hidden, training.strategy)

    def loss(params: Params, carry: Any, batch: Any, key: Key) -> Any:
        del key  # there is no noise
        return model.loss(params, batch), (carry, {})

    return RandomRate(
        init=model.init,
        loss=loss,
        optimiser=scaled_optimiser(training.optimiser, training.factor()),
        clip=Clip(norm=training.clip_norm or None),
        sample=task.sample,
        lowest=search.lowest_rate,
        highest=search.highest_rate,
    )


def train(
    config: Config, task: Task, learner: RandomRate, trials: Key
) -> dict[str, Float[np.ndarray, "members"]]:
    """Trains all trials side by side: numbers of each.

    Returns:
        The learning rate, the training step at which it diverged or 0, and the losses of validation
        and test.
    """
    programs = devices.Programs(learner, trials, brief.options())
    state = programs.start()
    rates = np.asarray(state.opt_state.hyperparams["learning_rate"])
    state, _ = programs.updates(config.training.steps, state, None)(state, None)

    def losses(params: Params) -> tuple[Array, Array]:
        loss = lambda batch: learner.loss(params, (), batch, trials[0])[0]  # noqa: E731
        return loss(task.validation), loss(task.test)

    evaluate = jax.jit(partial(jax.lax.map, losses), compiler_options=brief.options())
    validation, test = evaluate(state.params)
    return {
        "learning_rate": rates,
        "diverged_at": np.asarray(state.diverged),
        "validation": np.asarray(validation),
        "test": np.asarray(test),
    }


def combine(config: Config, groups: dict[str, xr.Dataset]) -> xr.Dataset:
    """One data set of all groups, with the axes of `DIMENSIONS`."""
    parts = iter(groups.values())
    sizes = list(config.search.sizes)
    data = xr.concat(
        [
            xr.concat(
                [xr.concat([next(parts) for _ in sizes], dim="size") for _ in config.cells],
                dim="cell",
            )
            for _ in config.tasks
        ],
        dim="task",
    )
    for name in ("baseline", "unit"):
        data[name] = data[name].isel(cell=0, size=0)
    meanings = {
        "learning_rate": ("the highest learning rate of the schedule", "1"),
        "diverged_at": ("training step at which it diverged, 0 for never", "training steps"),
        "validation": ("loss by which a search chooses", "nats"),
        "test": ("loss on test", "nats"),
        "hidden": ("units", "1"),
        "parameters": ("parameters", "1"),
        "baseline": ("loss on test of the best answer without input", "nats"),
    }
    for name, (meaning, units) in meanings.items():
        data[name].attrs = {"long_name": meaning, "units": units}
    data.attrs = {"title": "Random search over recurrent cells"}
    return data.assign_coords(task=list(config.tasks), cell=list(config.cells), size=sizes)
