"""What does it cost to cut backpropagation through time after k steps?

The gradient of a loss on T steps is cut every k steps (truncated backpropagation through time,
Williams and Peng 1990), for k = 1, 2, 4, … T. Measured are, at the start and after training with
the full gradient, the cosine between both gradients and the bias that averaging over batches does
not remove; and the loss that training with the cut gradient ends at.

Command: python run.py --experiment=bptt_horizon
On Tiny Shakespeare: --config.corpus=tiny_shakespeare
Under a minute: --config.tiny=true
Expected: cosine 1 and bias 0 at k = T. On a text the bias falls with k, and falls below the noise
of a batch well before T.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from experiments import _bptt_report, _networks, _populations
from experiments._bptt_gradients import Gradients, compare, noise
from experiments._bptt_problems import Network, Problem, TaskProblem, TextProblem
from experiments._training import with_setting
from rnnlab import strategies
from rnnlab.data import tasks
from rnnlab.data.corpus import read_characters
from rnnlab.data.source import MADE, Source
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import Workdir
from rnnlab.training import optimisers
from rnnlab.training.loop import Outcome, train
from rnnlab.training.optimisers import Clip
from rnnlab.training.plan import Plan

#: The name of the task to predict the next character of the corpus.
TEXT = "text"
STAGES = ("start", "trained")

#: What the small setting changes.
TINY: dict[str, Any] = {
    "networks": ("gru",),
    "length": 8,
    "horizons": (2,),
    "seeds": 2,
    "hidden": 16,
    "batch": 16,
    "steps": 200,
    "learning_rate": 0.02,
    "gradient_batches": 8,
    "evaluate_every": 100,
    "evaluation_batch": 64,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What learns what, with gradients that reach how far."""

    #: Tasks: text, adding, copy, parity, parity_running, temporal_order, temporal_order_3.
    tasks: tuple[str, ...] = (TEXT, "adding")
    #: Networks: tanh_identity, tanh_orthogonal, tanh_gaussian, irnn, lstm_chrono, gru_chrono, or
    #: any cell by its name in rnnlab.cells.CELLS.
    networks: tuple[str, ...] = ("tanh_orthogonal", "gru")
    #: T: steps of a window of the text, and of the tasks. copy has T + 20 steps.
    length: int = 64
    #: k: steps after which the gradient is cut. The full gradient, k = T, is always there.
    horizons: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    #: Networks of each kind, with seeds 0, 1, ...
    seeds: int = 3
    #: Hidden units.
    hidden: int = 64
    #: Sequences of a training step, or places of the text.
    batch: int = 32
    #: Training steps.
    steps: int = 1500
    #: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw or nadam.
    optimiser: str = "adam"
    #: Learning rate, highest of the schedule.
    learning_rate: float = 0.003
    #: constant, linear, cosine or inverse_sqrt.
    schedule: str = "cosine"
    #: The gradient is scaled down to this norm; 0 leaves it.
    clip_norm: float = 1.0
    #: Batches over which gradients are compared.
    gradient_batches: int = 32
    #: Steps between evaluations.
    evaluate_every: int = 250
    #: Fresh sequences of an evaluation of a task. A text is evaluated on its validation split.
    evaluation_batch: int = 256
    #: Training steps of a dispatch.
    chunk: int = 50
    #: How the steps of a window are run: hoisted, autodiff, rematerialised, auto, ...
    strategy: str = "autodiff"
    #: made (a text for quick runs), tiny_shakespeare, penn_treebank or the path of a text file.
    corpus: str = MADE
    #: Where TensorFlow Datasets keeps prepared data; empty for its own default.
    data_dir: str = ""
    #: Folder that holds the original file of the data set, for use without a network; empty to
    #: download it.
    manual_dir: str = ""
    #: Use a small setting that takes less than a minute. Fields that are given other values than
    #: their defaults keep these.
    tiny: bool = False

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("length", "seeds", "hidden", "batch", "gradient_batches", "evaluation_batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be a positive integer")
        for name in ("networks", "tasks"):
            if not getattr(self, name):
                raise UsageError(f"{name}=(): must name at least one")
        if self.clip_norm < 0:
            raise UsageError(f"clip_norm={self.clip_norm}: must be at least 0")
        for name in self.networks:
            _networks.by_name(name, self.hidden, self.length)
        for name in self.tasks:
            steps = self.length if name == TEXT else _task(name, self.length).steps(self.length)
            self.reaches(steps)
        strategies.by_name(self.strategy)
        self.plan()
        self.optimise()

    def reaches(self, steps: int) -> tuple[int, ...]:
        """The horizons in ascending order, the last of which is the number of steps.

        Raises:
            UsageError: one that does not divide it. A loss of the last step would then reach back
                less than k steps.
        """
        for horizon in self.horizons:
            if horizon < 1 or steps % horizon:
                raise UsageError(
                    f"horizons={self.horizons}: {horizon} does not divide the {steps} steps of a "
                    "sequence, so that its last window would be shorter; choose divisors"
                )
        return tuple(sorted({*self.horizons, steps}))

    def plan(self) -> Plan:
        """How long each training is."""
        return Plan(
            steps=self.steps,
            chunk=self.chunk,
            evaluate_every=self.evaluate_every,
            checkpoint_every=max(self.evaluate_every, 1) * 5,
            unit="sequences",
            units=self.batch * self.seeds,
        )

    def optimise(self) -> Any:
        """The optimiser."""
        rate = optimisers.schedule(self.schedule, self.learning_rate, self.steps)
        return optimisers.optimiser(self.optimiser, rate)

    def problem(self, name: str) -> Problem:
        """What a task is."""
        if name == TEXT:
            source = Source(self.data_dir, self.manual_dir, self.corpus)
            return TextProblem(read_characters(source), self.length, self.batch)
        task = _task(name, self.length)
        return TaskProblem(task, self.length, self.batch, self.evaluation_batch)


def run(config: Config, workdir: Workdir) -> None:
    """Measures, or reads what was measured; then writes pictures and report, and prints a table."""
    config = with_setting(config, tiny=TINY)
    _bptt_report.write(workdir, measure(config, workdir))


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """The result: a training for each task, network and horizon, and the gradients beside it."""
    jobs: dict[str, Callable[[], xr.Dataset]] = {}
    for i, name in enumerate(config.tasks):
        problem = config.problem(name)
        for j, network in enumerate(config.networks):
            experiment = _Experiment(config, workdir, name, problem, network, (i, j))
            for horizon in experiment.horizons:
                jobs[f"{name}-{network}-{horizon}"] = partial(experiment.trained, horizon)
            jobs[f"{name}-{network}-gradients"] = experiment.gradients

    def combine(parts: dict[str, xr.Dataset]) -> xr.Dataset:
        data = xr.merge(parts.values(), join="outer", compat="no_conflicts")
        return data.assign_coords(task=list(config.tasks), network=list(config.networks))

    return results.measured(workdir, "bptt_horizon", jobs, combine)


class _Experiment:
    """One network on one task."""

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
        self._place = place  # in tasks and networks; a merge can cut names short
        self._name, self._network = name, Network(network, config.hidden, config.strategy)
        self.horizons = config.reaches(problem.steps)

    def trained(self, horizon: int) -> xr.Dataset:
        """The losses of all seeds while they learn with a cut gradient."""
        outcome = self._train(horizon)
        loss = [_populations.numbers(row["loss"]) for row in outcome.evaluations]
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
        config, steps = self._config, self._problem.steps
        batches = self._problem.batches(config.gradient_batches)
        learner = self._learner(steps)
        start = jax.jit(learner.start)
        ends = self._train(steps).state.params
        stages = {
            "start": [start(jax.random.key(seed)).params for seed in range(config.seeds)],
            "trained": [
                jax.tree.map(lambda leaf, seed=seed: leaf[seed], ends)
                for seed in range(config.seeds)
            ],
        }
        whole = Gradients(learner, batches)
        full = {stage: [whole(params) for params in stages[stage]] for stage in STAGES}
        parts = []
        for horizon in self.horizons:
            cut = Gradients(self._learner(horizon), batches)
            numbers = [
                [compare(cut(p), g) for p, g in zip(stages[stage], full[stage], strict=True)]
                for stage in STAGES
            ]
            dims = ("stage", "seed")
            values = np.array(numbers)  # [stage, seed, number]
            part = {
                "cosine": (dims, values[..., 0], {"long_name": "cosine with the full gradient"}),
                "ratio": (dims, values[..., 1], {"long_name": "norm over that of the full one"}),
                "bias": (dims, values[..., 2], {"long_name": "bias over the norm of the mean"}),
            }
            parts.append(xr.Dataset(part, {"horizon": horizon}).expand_dims("horizon"))
        data = xr.concat(parts, dim="horizon", data_vars="all").assign_coords(stage=list(STAGES))
        noises = np.array([[noise(g) for g in full[stage]] for stage in STAGES])
        data["noise"] = (("stage", "seed"), noises, {"long_name": "noise of one batch"})
        data["baseline"] = ((), self._problem.baseline, {"long_name": "loss without memory"})
        data["steps"] = ((), steps, {"long_name": "steps T of a sequence"})
        return self._labelled(data)

    def _labelled(self, data: xr.Dataset) -> xr.Dataset:
        (task, network), seeds = self._place, np.arange(self._config.seeds)
        data = data.assign_coords(seed=seeds, task=task, network=network)
        shared = data[[name for name in ("baseline", "steps") if name in data]].drop_vars("network")
        own = data.drop_vars(list(shared.data_vars)).expand_dims(("task", "network"))
        return own.merge(shared.expand_dims("task")).assign_attrs(data.attrs)

    def _train(self, horizon: int) -> Outcome:
        """Trains to the end, or goes on, or takes what was trained."""
        config = self._config
        keys = jnp.stack([jax.random.key(seed) for seed in range(config.seeds)])
        return train(
            self._workdir,
            self._learner(horizon),
            config.plan(),
            keys,
            evaluate=self._problem.evaluation(self._network),
            feed=self._problem.feed(),
            name=f"{self._name}-{self._network.name}-{horizon}",
            record_divergence=False,
        )

    def _learner(self, horizon: int) -> Any:
        config = self._config
        clip = Clip(norm=config.clip_norm or None)
        return self._problem.learner(self._network, horizon, config.optimise(), clip)


def _task(name: str, length: int) -> tasks.Task:
    try:
        task = tasks.by_name(name)
        task.check(length)
    except UsageError as error:
        reason = str(error).removeprefix("task=")
        raise UsageError(f"tasks={reason}" if reason != str(error) else reason) from error
    return task
