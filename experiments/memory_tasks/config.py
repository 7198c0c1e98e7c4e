"""Settings of `memory_tasks`."""

from __future__ import annotations

import dataclasses

from rnnlab.data import tasks
from rnnlab.data.tasks import Task
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import penalty
from rnnlab.training.settings import Training, renamed
from rnnlab.training.starts import Population

#: Dimensions of the result, outermost first.
GRID = ("task", "length", "network")
NETWORKS = ("tanh_identity", "tanh_orthogonal", "tanh_gaussian", "irnn", "lstm", "gru")


@dataclasses.dataclass(frozen=True)
class Config:
    """What learns what, and for how long."""

    #: Tasks: parity, parity_running, adding, copy, temporal_order, temporal_order_3.
    tasks: tuple[str, ...] = ("adding", "temporal_order")
    #: T of the tasks. parity draws lengths up to it; copy has T + 20 steps.
    lengths: tuple[int, ...] = (20, 50, 100)
    #: The networks.
    population: Population = Population(NETWORKS, seeds=4, hidden=32, strategy="hoisted")
    #: Their training, which ends earlier once all seeds have solved the task.
    training: Training = Training(
        steps=4000, dispatch=100, evaluate_every=200, checkpoint_every=1000
    )
    #: Weight of Pascanu's regulariser of the gradient's norm, with strategy=hoisted; 0 for none.
    penalty: float = 0.0
    #: A network has solved a task when its loss is below this share of the loss without learning.
    solved: float = 0.01
    #: Fresh sequences of an evaluation.
    evaluation_batch: int = 256
    #: Lengths at which networks are tested after training; empty for none. All test sequences of
    #: parity have the whole length.
    test_lengths: tuple[int, ...] = ()
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, evaluation_batch=1)
        checks.non_negative(self, "penalty")
        checks.not_empty(self, "tasks", "lengths")
        checks.distinct(self, "tasks", "lengths", "test_lengths")
        if not 0 < self.solved < 1:
            raise UsageError(f"solved={self.solved}: must be between 0 and 1")
        for name in self.tasks:
            for length in (*self.lengths, *self.test_lengths):
                task_of(name).check(length)
        if self.penalty:
            self._check_penalty()

    def _check_penalty(self) -> None:
        """The regulariser has a pass of its own, and only for some cells."""
        if self.population.strategy != "hoisted":
            raise UsageError(
                f"penalty={self.penalty}: is computed by its own pass over the sequence, which "
                f"hoists and would ignore strategy={self.population.strategy}; set strategy=hoisted"
            )
        for name in self.population.networks:
            penalty.check(self.population.cell(name, 2))


def task_of(name: str) -> Task:
    """The task of that name."""
    with renamed("task", "tasks"):
        return tasks.by_name(name)


PRESETS = {
    "tiny": Config(
        tasks=("parity_running",),
        lengths=(6,),
        population=Population(
            networks=("tanh_orthogonal", "gru"),
            seeds=2,
            hidden=12,
            strategy="autodiff",  # compiles fastest
        ),
        training=Training(
            steps=300, learning_rate=0.02, dispatch=100, evaluate_every=100, checkpoint_every=500
        ),
        solved=0.2,
        evaluation_batch=64,
        test_lengths=(20,),
    ),
}
