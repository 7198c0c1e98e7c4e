"""Trains every network on every task, and measures what it has learned.

The result has the dimensions `GRID`; its variables are those of `Trial.measure`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import xarray as xr

from experiments.memory_tasks.config import GRID, Config, task_of
from rnnlab import gradients
from rnnlab.data import tasks
from rnnlab.data.tasks import Task
from rnnlab.run.workdir import Workdir
from rnnlab.training import model, populations
from rnnlab.training.evaluators import Memory, TaskEvaluator, Together
from rnnlab.training.loop import Outcome, train
from rnnlab.training.model import Reader

#: Seeds of the sequences that measure; those of networks are 0, 1, ...
EVALUATION_SEED, GRADIENT_SEED = 1_000_000, 1_000_001
#: Sequences over which the gradient at the start is averaged.
GRADIENT_BATCH = 16


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """The result: one training for each task, length and network, all seeds at once."""
    values = (config.tasks, config.lengths, config.population.networks)

    def one(task: str, length: int, network: str) -> xr.Dataset:
        return Trial(config, task, length, network).measure(workdir)

    return populations.measured(workdir, dict(zip(GRID, values, strict=True)), one)


class Solving(TaskEvaluator):
    """Measures the loss on fresh sequences; training ends once all seeds have solved the task."""

    def __init__(self, config: Config, reader: Reader, task: Task, length: int):
        super().__init__(reader, task, length, config.evaluation_batch, EVALUATION_SEED)
        self._bar = bar(config, task, length)

    def finished(self, values: Mapping[str, Any]) -> bool:
        """Whether the loss of every seed is below the bar."""
        return all(loss is not None and loss < self._bar for loss in values["loss"])


class Trial:
    """All seeds of one network on one task.

    Args:
        config: of the experiment.
        task: name of the task.
        length: its T.
        network: name of the network.
    """

    def __init__(self, config: Config, task: str, length: int, network: str):
        self._config, self._task, self._length = config, task_of(task), length
        self._name = populations.name_of(task, length, network)
        self._keys = populations.keys(config.population.seeds)
        cell = config.population.cell(network, length)
        self._reader = Reader(cell, self._task.features_out, config.population.strategy)
        self._learner = model.task_learner(
            self._reader,
            self._task,
            batch=config.training.batch,
            length=length,
            optimiser=config.training.make(),
            clip=config.training.clip(),
            penalty_weight=config.penalty,
        )

    def measure(self, workdir: Workdir) -> xr.Dataset:
        """Trains, and returns the evaluations and what follows from them."""
        outcome = self._train(workdir)
        steps, seeds = self._steps(), self._config.population.seeds
        loss, right = (
            populations.series(outcome.evaluations, name, steps, seeds)
            for name in ("loss", "right")
        )
        diverged = np.where(outcome.diverged > 0, outcome.diverged, np.nan)
        gradient, baseline = self._gradient_at_start(), self._task.baseline(self._length)
        data = xr.Dataset(
            {
                "loss": (("step", "seed"), loss, {"long_name": "loss on fresh sequences"}),
                "right": (("step", "seed"), right, {"long_name": "share of right answers"}),
                "solved_at": ("seed", self._solved_at(loss), {"units": "steps"}),
                "diverged_at": ("seed", diverged),
                "log10_gradient": ("seed", gradient, {"long_name": "log10 ‖∂L/∂s_0‖ at the start"}),
                "baseline": ((), baseline, {"long_name": "loss without learning"}),
            },
            {"step": steps, "seed": np.arange(seeds)},
        )
        return data.merge(self._tested(outcome))

    def _train(self, workdir: Workdir) -> Outcome:
        reader, task, length = self._reader, self._task, self._length
        training, seeds = self._config.training, self._config.population.seeds
        return train(
            workdir,
            self._learner,
            training.plan(speed_unit="sequences", units_per_update=training.batch * seeds),
            self._keys,
            evaluator=Together(
                Solving(self._config, reader, task, length),
                Memory(reader.cell, self._probe(), population=True),
            ),
            name=self._name,
        )

    def _gradient_at_start(self) -> np.ndarray:
        """log10 ‖∂L/∂s_0‖ of each seed before training, for a loss at the last step."""
        start, xs = jax.jit(self._learner.start), self._probe()
        norms = []
        for key in self._keys:
            params = start(key).params["cell"]
            profile = gradients.adjoint_profile(self._reader.cell, params, xs, loss="last", key=key)
            norms.append(float(profile.log10_joint[0].mean()))
        return np.asarray(norms)

    def _tested(self, outcome: Outcome) -> xr.Dataset:
        """Loss and share of right answers at the lengths of the test."""
        lengths, seeds = self._config.test_lengths, self._config.population.seeds
        batch = self._config.evaluation_batch
        found = [
            TaskEvaluator(self._reader, whole(self._task), n, batch, EVALUATION_SEED)(
                outcome.state.params, 0
            )
            for n in lengths
        ]
        variables = {
            f"test_{name}": (
                ("test_length", "seed"),
                np.array([values[name] for values in found], float).reshape(len(lengths), seeds),
            )
            for name in ("loss", "right")
        }
        return xr.Dataset(variables, {"test_length": list(lengths)})

    def _solved_at(self, loss: np.ndarray) -> np.ndarray:
        """The step of the first evaluation below the bar, nan without one, `[seed]`."""
        steps = np.array(self._steps(), float)[:, None]
        below = loss < bar(self._config, self._task, self._length)
        first = np.where(below, steps, np.inf).min(axis=0)
        return np.where(np.isfinite(first), first, np.nan)

    def _steps(self) -> list[int]:
        """The training steps of evaluations."""
        training = self._config.training
        return [*range(0, training.steps, training.evaluate_every), training.steps]

    def _probe(self) -> jax.Array:
        """The sequences on which gradients are measured."""
        return self._task.sample(jax.random.key(GRADIENT_SEED), GRADIENT_BATCH, self._length).xs


def bar(config: Config, task: Task, length: int) -> float:
    """The loss below which the task is solved."""
    return config.solved * task.baseline(length)


def whole(task: Task) -> Task:
    """The task with sequences of the whole length only."""
    return dataclasses.replace(task, varied=False) if isinstance(task, tasks.Parity) else task
