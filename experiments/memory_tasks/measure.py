"""Can this network learn what happened T steps ago, and does its gradient at the start foretell it?

Networks of each kind, many seeds side by side in one program, learn generated tasks of long memory:
adding, copy memory, parity and temporal order (see rnnlab/data/tasks/ for sources and definitions).
Every task has an exact loss that is reached without learning, and a network has solved it when its
loss on fresh sequences is a small share of that. Measured are the share of seeds that solve the
task, with Wilson's interval, the steps they need, and log10 ‖∂L/∂s_0‖ at initialisation.

Command: python run.py --experiment=memory_tasks
Under a minute: --config.tiny=true
Adding at T = 200: --config.tasks=adding --config.lengths=200 --config.networks=lstm,gru,irnn
--config.hidden=64 --config.steps=20000 --config.seeds=2
Parity to length 1000: --config.tasks=parity_running --config.lengths=40 --config.networks=lstm,gru
--config.test_lengths=100,1000 --config.solved=0.001
Expected: parity_running, trained on lengths up to 40, is solved by LSTM and GRU within 2,000 steps.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from experiments import _memory_report, _networks, _populations
from experiments._training import with_setting
from rnnlab import gradients, strategies
from rnnlab.data import tasks
from rnnlab.data.tasks import Task
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.training import diagnostics, model, optimisers
from rnnlab.training.loop import Evaluate, Outcome, train
from rnnlab.training.model import Reader
from rnnlab.training.optimisers import Clip
from rnnlab.training.plan import Plan
from rnnlab.training.step import Learner

#: Seeds of what is measured; those of networks are 0, 1, ...
EVALUATION_SEED, GRADIENT_SEED = 1_000_000, 1_000_001
#: Sequences over which the gradient at the start is averaged.
GRADIENT_BATCH = 16

#: What the small setting changes.
TINY: dict[str, Any] = {
    "networks": ("tanh_orthogonal", "gru"),
    "tasks": ("parity_running",),
    "lengths": (6,),
    "seeds": 2,
    "hidden": 12,
    "steps": 300,
    "learning_rate": 0.02,
    "evaluate_every": 100,
    "evaluation_batch": 64,
    "test_lengths": (20,),
    "solved": 0.2,
    "strategy": "autodiff",  # which compiles in the least time
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What learns what, and for how long."""

    #: Networks: tanh_identity, tanh_orthogonal, tanh_gaussian, irnn, lstm_chrono, gru_chrono, or
    #: any cell by its name in rnnlab.cells.CELLS.
    networks: tuple[str, ...] = (
        *("tanh_identity", "tanh_orthogonal", "tanh_gaussian", "irnn", "lstm", "gru"),
    )
    #: Tasks: parity, parity_running, adding, copy, temporal_order, temporal_order_3.
    tasks: tuple[str, ...] = ("adding", "temporal_order")
    #: T of the tasks. parity draws lengths up to it; copy has T + 20 steps.
    lengths: tuple[int, ...] = (20, 50, 100)
    #: Networks of each kind, with seeds 0, 1, ...
    seeds: int = 4
    #: Hidden units.
    hidden: int = 32
    #: Sequences of a training step.
    batch: int = 32
    #: Training steps at most; a run ends earlier when all its seeds have solved the task.
    steps: int = 4000
    #: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw or nadam.
    optimiser: str = "adam"
    #: Learning rate, highest of the schedule.
    learning_rate: float = 0.003
    #: constant, linear, cosine or inverse_sqrt.
    schedule: str = "constant"
    #: The gradient is scaled down to this norm; 0 leaves it.
    clip_norm: float = 1.0
    #: Weight of Pascanu's regulariser of the gradient's norm; 0 for none.
    penalty: float = 0.0
    #: A network has solved a task when its loss is below this share of the loss without learning.
    solved: float = 0.01
    #: Steps between evaluations.
    evaluate_every: int = 200
    #: Fresh sequences of an evaluation.
    evaluation_batch: int = 256
    #: Lengths at which networks are tested after training; empty for none. All test sequences of
    #: parity have the whole length.
    test_lengths: tuple[int, ...] = ()
    #: Training steps of a dispatch.
    chunk: int = 100
    #: How sequences are run: hoisted, autodiff, rematerialised, auto, ...
    strategy: str = "auto"
    #: Use a small setting that takes less than a minute. Fields that are given other values than
    #: their defaults keep these.
    tiny: bool = False

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("seeds", "hidden", "batch", "evaluation_batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be a positive integer")
        for name in ("networks", "tasks", "lengths"):
            if not getattr(self, name):
                raise UsageError(f"{name}=(): must name at least one")
        if not 0 < self.solved < 1:
            raise UsageError(f"solved={self.solved}: must be between 0 and 1")
        if self.clip_norm < 0 or self.penalty < 0:
            raise UsageError(f"clip_norm={self.clip_norm}, penalty={self.penalty}: at least 0")
        for name in self.networks:
            _networks.by_name(name, self.hidden, 2)
        for name in self.tasks:
            for length in (*self.lengths, *self.test_lengths):
                _task(name).check(length)
        strategies.by_name(self.strategy)
        self.plan()
        self.optimise()

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


def run(config: Config, workdir: Workdir) -> None:
    """Trains, or reads what was trained; then writes pictures and report, and prints a table."""
    config = with_setting(config, tiny=TINY)
    data = measure(config, workdir)
    _memory_report.write(workdir, data, config.solved)


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """The result: one training for each task, length and network, all seeds at once."""
    grid = {"task": config.tasks, "length": config.lengths, "network": config.networks}
    return _populations.measured(workdir, grid, partial(_train, config, workdir))


def _train(
    config: Config, workdir: Workdir, task_name: str, length: int, network: str
) -> xr.Dataset:
    """Trains all seeds of one network on one task."""
    task = _task(task_name)
    cell = _networks.by_name(network, config.hidden, length)
    reader = Reader(cell, task.features_out, config.strategy)
    learner = model.task_learner(
        reader,
        task,
        batch=config.batch,
        length=length,
        optimiser=config.optimise(),
        clip=Clip(norm=config.clip_norm or None),
        penalty_weight=config.penalty,
    )
    keys = jnp.stack([jax.random.key(seed) for seed in range(config.seeds)])
    bar = config.solved * task.baseline(length)
    outcome = train(
        workdir,
        learner,
        config.plan(),
        keys,
        evaluate=_with_diagnostics(
            _evaluation(reader, task, length, config.evaluation_batch), cell, task, length
        ),
        stop=lambda values: all(_below(loss, bar) for loss in values["loss"]),
        name=_populations.name_of(task_name, length, network),
        record_divergence=False,
    )
    gradient = _gradient_at_start(learner, reader, task, length, keys)
    return _dataset(config, reader, task, length, outcome, gradient)


def _evaluation(reader: Reader, task: Task, length: int, batch: int) -> Evaluate:
    """Measures losses and right answers on sequences that are new at every evaluation."""

    @jax.jit
    def measure(params: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        drawn = task.sample(key, batch, length)

        def one(params: Any) -> tuple[jax.Array, jax.Array]:
            _, ys = reader.run(params, drawn.xs, lengths=drawn.lengths)
            answers = model.answer(reader, task, params, ys, drawn.lengths)
            loss, right = model.losses(task, answers, drawn)
            return loss.mean(), right.mean()

        return jax.vmap(one)(params)

    def evaluate(params: Any, step: int) -> dict[str, Any]:
        loss, right = measure(params, jax.random.fold_in(jax.random.key(EVALUATION_SEED), step))
        known = np.asarray(right) if task.classes else np.full(len(loss), np.nan)
        return {"loss": np.asarray(loss), "right": known}

    return evaluate


def _with_diagnostics(evaluate: Evaluate, cell: Any, task: Task, length: int) -> Evaluate:
    """The evaluation, with ρ and σ_max of the recurrent matrices and the adjoint by lag."""
    xs = task.sample(jax.random.key(GRADIENT_SEED), GRADIENT_BATCH, length).xs

    def both(params: Any, step: int) -> dict[str, Any]:
        numbers = diagnostics.population_numbers(cell, params["cell"], xs)
        return evaluate(params, step) | numbers

    return both


def _gradient_at_start(
    learner: Learner, reader: Reader, task: Task, length: int, keys: jax.Array
) -> np.ndarray:
    """log10 ‖∂L/∂s_0‖ of each seed before training, for a loss at the last step."""
    xs = task.sample(jax.random.key(GRADIENT_SEED), GRADIENT_BATCH, length).xs
    start = jax.jit(learner.start)
    norms = []
    for key in keys:
        params = start(key).params["cell"]
        profile = gradients.adjoint_profile(reader.cell, params, xs, loss="last", key=key)
        norms.append(float(profile.log10_joint[0].mean()))
    return np.asarray(norms)


def _dataset(
    config: Config, reader: Reader, task: Task, length: int, outcome: Outcome, gradient: np.ndarray
) -> xr.Dataset:
    """One training as labelled arrays: all evaluations, and what follows from them."""
    every = [*range(0, config.steps, config.evaluate_every), config.steps]
    loss, right = (
        _populations.series(outcome.evaluations, name, every, config.seeds)
        for name in ("loss", "right")
    )
    bar = config.solved * task.baseline(length)
    steps = np.array([[s] for s in every], float)
    first = np.where(loss < bar, steps, np.inf).min(axis=0)
    tested = [
        _evaluation(reader, _whole(task), n, config.evaluation_batch)(outcome.state.params, 0)
        for n in config.test_lengths
    ]
    return xr.Dataset(
        {
            "loss": (("step", "seed"), loss, {"long_name": "loss on fresh sequences"}),
            "right": (("step", "seed"), right, {"long_name": "share of right answers"}),
            "solved_at": ("seed", np.where(np.isfinite(first), first, np.nan), {"units": "steps"}),
            "diverged_at": ("seed", np.where(outcome.diverged > 0, outcome.diverged, np.nan)),
            "log10_gradient": ("seed", gradient, {"long_name": "log10 ‖∂L/∂s_0‖ at the start"}),
            "baseline": ((), task.baseline(length), {"long_name": "loss without learning"}),
            "test_loss": (("test_length", "seed"), _stack(tested, "loss", config.seeds)),
            "test_right": (("test_length", "seed"), _stack(tested, "right", config.seeds)),
        },
        {"step": every, "seed": np.arange(config.seeds), "test_length": list(config.test_lengths)},
    )


def _stack(tested: list[dict[str, Any]], name: str, seeds: int) -> np.ndarray:
    return np.array([one[name] for one in tested], float).reshape(len(tested), seeds)


def _below(loss: float | None, bar: float) -> bool:
    return loss is not None and loss < bar


def _whole(task: Task) -> Task:
    """The task with sequences of the whole length only."""
    return dataclasses.replace(task, varied=False) if isinstance(task, tasks.Parity) else task


def _task(name: str) -> Task:
    try:
        return tasks.by_name(name)
    except UsageError as error:
        raise UsageError(f"tasks={str(error).removeprefix('task=')}") from error
