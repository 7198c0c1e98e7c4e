"""Trains networks from every start by every method, and measures what they have learned."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import xarray as xr

from experiments.clipping.config import GRID, Config
from experiments.clipping.starts import STARTS, TASK
from experiments.clipping.success import Success
from rnnlab.run.workdir import Workdir
from rnnlab.training import log, model, populations
from rnnlab.training.loop import Outcome, train
from rnnlab.training.optimisers import Clip
from rnnlab.training.update import Learner

#: Variables `[step, seed]` of the result, and what evaluations call them.
EVALUATED = {
    "loss": "loss",
    "wrong": "wrong",
    "spectral_radius": "spectral_radius/h",
    "sigma_max": "sigma_max/h",
}
#: Variables `[until, seed]`, means over the steps of a dispatch, and what training calls them.
TRAINED = {"gradient_norm": "gradient_norm", "clipped": "clipped", "omega": "penalty"}


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """The result: one training for each start, length and method, all seeds in one program."""
    values = (config.starts, config.lengths, config.methods)

    def one(start: str, length: int, method: str) -> xr.Dataset:
        return _measure(config, workdir, start, length, method)

    return populations.measured(workdir, dict(zip(GRID, values, strict=True)), one)


def learner_of(config: Config, start: str, length: int, method: str) -> Learner:
    """What trains networks with that start by that method."""
    learner = model.task_learner(
        STARTS[start](config.hidden),
        TASK,
        batch=config.batch,
        length=length,
        optimiser=config.optimiser(),
        clip=Clip() if method == "sgd" else Clip(norm=config.clip_norm),
        penalty_weight=config.penalty / length if method == "clip_penalty" else 0.0,
    )
    return dataclasses.replace(learner, in_turn=jax.default_backend() == "cpu")


def _measure(config: Config, workdir: Workdir, start: str, length: int, method: str) -> xr.Dataset:
    """Trains all seeds of one start by one method."""
    name = populations.name_of(start, length, method)
    folder, reader = workdir.within(name), STARTS[start](config.hidden)
    success = Success(folder, reader, TASK, length, config.evaluation_batch, config.solved)
    outcome = train(
        workdir,
        learner_of(config, start, length, method),
        config.plan(),
        populations.keys(config.seeds),
        evaluator=success,
        name=name,
    )
    tested = [
        dataclasses.replace(success, length=test).wrong(outcome.state.params, config.steps)
        for test in config.test_lengths
    ]
    return _dataset(config, folder, outcome, length, tested)


def _dataset(
    config: Config, folder: Workdir, outcome: Outcome, length: int, tested: list[np.ndarray]
) -> xr.Dataset:
    """One training as labelled arrays: evaluations, and means over training steps."""
    every = [*range(0, config.steps, config.evaluate_every), config.steps]
    ends = [*range(config.dispatch, config.steps, config.dispatch), config.steps]
    rows = log.read(folder.path(log.METRICS).read_text(encoding="utf-8"), "train")
    evaluated = {
        name: populations.series(outcome.evaluations, key, every, config.seeds)
        for name, key in (*EVALUATED.items(), ("solved_at", "solved_at"))
    }
    trained = {
        name: populations.series(rows, key, ends, config.seeds) for name, key in TRAINED.items()
    }
    solved_at = populations.last(evaluated.pop("solved_at"))
    shape = (len(config.test_lengths), config.seeds)
    return xr.Dataset(
        {
            **{name: (("step", "seed"), values) for name, values in evaluated.items()},
            **{name: (("until", "seed"), values) for name, values in trained.items()},
            "solved_at": ("seed", solved_at, {"units": "steps"}),
            "diverged_at": ("seed", np.where(outcome.diverged > 0, outcome.diverged, np.nan)),
            "steps_made": ((), outcome.step, {"units": "steps"}),
            "test_wrong": (("test_length", "seed"), np.reshape(tested, shape).astype(float)),
            "baseline": ((), TASK.baseline(length), {"long_name": "loss without learning"}),
        },
        {
            "step": every,
            "until": ends,
            "seed": np.arange(config.seeds),
            "test_length": list(config.test_lengths),
        },
    )
