"""Trains with gradients that are cut after k steps, and compares them with the full gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr

from experiments.bptt_horizon.config import STAGES, Config
from experiments.bptt_horizon.gradients import Gradients, compare, noise
from experiments.bptt_horizon.problems import Problem, TextProblem, problem_of, reader_of
from rnnlab.run import results
from rnnlab.run.workdir import Workdir
from rnnlab.training import populations
from rnnlab.training.loop import Outcome, train
from rnnlab.training.model import Reader
from rnnlab.training.update import Learner


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """The result: a training for each task, network and horizon, and the gradients beside it."""
    jobs: dict[str, Callable[[], xr.Dataset]] = {}
    for i, name in enumerate(config.tasks):
        problem = problem_of(config, name)
        if isinstance(problem, TextProblem):
            problem.corpus.claim(workdir, config.source.corpus)
        for j, network in enumerate(config.population.networks):
            trial = Trial(config, workdir, name, problem, network, (i, j))
            for horizon in trial.horizons:
                jobs[f"{name}-{network}-{horizon}"] = partial(trial.trained, horizon)
            jobs[f"{name}-{network}-gradients"] = trial.gradients

    def combine(partial_results: dict[str, xr.Dataset]) -> xr.Dataset:
        data = xr.merge(partial_results.values(), join="outer", compat="no_conflicts")
        networks = list(config.population.networks)
        return data.assign_coords(task=list(config.tasks), network=networks)

    return results.measured(workdir, "bptt_horizon", jobs, combine)


class Trial:
    """One network on one task.

    Args:
        config: of the experiment.
        workdir: of the run.
        name: of the task.
        problem: what the task is.
        network: name of the network.
        place: of both in `config`. Parts are labelled with it, since a merge can cut names short.
    """

    def __init__(
        self,
        config: Config,
        workdir: Workdir,
        name: str,
        problem: Problem,
        network: str,
        place: tuple[int, int],
    ):
        self._config, self._workdir, self._problem = config, workdir, problem
        self._name, self._network, self._place = name, network, place
        self.horizons = config.reaches(problem.steps)

    def trained(self, horizon: int) -> xr.Dataset:
        """The losses of all seeds while they learn with a cut gradient."""
        outcome = self._train(horizon)
        loss = [populations.numbers(row["loss"]) for row in outcome.evaluations]
        data = xr.Dataset(
            {
                "loss": (("step", "seed"), np.array(loss), {"long_name": "loss on other data"}),
                "diverged_at": ("seed", np.where(outcome.diverged > 0, outcome.diverged, np.nan)),
            },
            {"step": [row["step"] for row in outcome.evaluations], "horizon": horizon},
            {"numbers": f"loss {np.nanmedian(loss[-1]):.4g}"},
        )
        return self._labelled(data.expand_dims("horizon"))

    def gradients(self) -> xr.Dataset:
        """All cut gradients against the full one, at the start and after training with that."""
        steps, stages = self._problem.steps, self._stages()
        batches = self._problem.batches(self._config.gradient_batches)
        whole = Gradients(self._learner(steps), batches)
        full = [[whole(params) for params in seeds] for seeds in stages]
        parts = []
        for horizon in self.horizons:
            cut = Gradients(self._learner(horizon), batches)
            parts.append(_compared(cut, stages, full).assign_coords(horizon=horizon))
        parts = [part.expand_dims("horizon") for part in parts]
        data = xr.concat(parts, dim="horizon", data_vars="all").assign_coords(stage=list(STAGES))
        noises = np.array([[noise(gradient) for gradient in seeds] for seeds in full])
        data["noise"] = (("stage", "seed"), noises, {"long_name": "noise of one batch"})
        data["baseline"] = ((), self._problem.baseline, {"long_name": "loss without memory"})
        data["steps"] = ((), steps, {"long_name": "steps T of a sequence"})
        return self._labelled(data)

    def _stages(self) -> list[list[Any]]:
        """The parameters of every seed at each of `STAGES`."""
        steps, seeds = self._problem.steps, range(self._config.population.seeds)
        start = jax.jit(self._learner(steps).start)
        trained = self._train(steps).state.params
        return [
            [start(jax.random.key(seed)).params for seed in seeds],
            [populations.member(trained, seed) for seed in seeds],
        ]

    def _labelled(self, data: xr.Dataset) -> xr.Dataset:
        (task, network), seeds = self._place, np.arange(self._config.population.seeds)
        data = data.assign_coords(seed=seeds, task=task, network=network)
        shared = data[[name for name in ("baseline", "steps") if name in data]].drop_vars("network")
        own = data.drop_vars(list(shared.data_vars)).expand_dims(("task", "network"))
        return own.merge(shared.expand_dims("task")).assign_attrs(data.attrs)

    def _train(self, horizon: int) -> Outcome:
        """Trains to the end, resumes, or reads what was trained."""
        training, seeds = self._config.training, self._config.population.seeds
        return train(
            self._workdir,
            self._learner(horizon),
            training.plan(speed_unit="sequences", units_per_update=training.batch * seeds),
            populations.keys(seeds),
            evaluator=self._problem.evaluator(self._reader(self._problem.steps)),
            feed=self._problem.feed(),
            name=populations.name_of(self._name, self._network, horizon),
        )

    def _learner(self, horizon: int) -> Learner:
        training = self._config.training
        return self._problem.learner(self._reader(horizon), training.make(), training.clip())

    def _reader(self, horizon: int) -> Reader:
        return reader_of(self._config.population, self._network, self._problem, horizon)


def _compared(cut: Gradients, stages: list[list[Any]], full: list[list[np.ndarray]]) -> xr.Dataset:
    """A cut gradient against the full one, at each of `STAGES`, for every seed."""
    numbers = [
        [compare(cut(params), gradient) for params, gradient in zip(*pair, strict=True)]
        for pair in zip(stages, full, strict=True)
    ]
    dims, values = ("stage", "seed"), np.array(numbers)  # [stage, seed, number]
    return xr.Dataset(
        {
            "cosine": (dims, values[..., 0], {"long_name": "cosine with the full gradient"}),
            "ratio": (dims, values[..., 1], {"long_name": "norm over that of the full one"}),
            "bias": (dims, values[..., 2], {"long_name": "bias over the norm of the mean"}),
        }
    )
