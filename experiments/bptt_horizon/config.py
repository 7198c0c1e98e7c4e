"""Settings of `bptt_horizon`."""

from __future__ import annotations

import dataclasses

from rnnlab.data import tasks
from rnnlab.data.source import Source
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training.settings import Training, renamed
from rnnlab.training.starts import Population

#: The name of the task to predict the next character of the corpus.
TEXT = "text"
#: When gradients are compared: before training, and after training with the full gradient.
STAGES = ("start", "trained")


@dataclasses.dataclass(frozen=True)
class Config:
    """What learns what, with gradients that reach how far."""

    #: Tasks: text, adding, copy, parity, parity_running, temporal_order, temporal_order_3.
    tasks: tuple[str, ...] = (TEXT, "adding")
    #: T: steps of a window of the text, and of the tasks. copy has T + 20 steps.
    length: int = 64
    #: k: steps after which the gradient is cut. The full gradient, k = T, is always there.
    horizons: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    #: The networks.
    population: Population = Population(
        networks=("tanh_orthogonal", "gru"), seeds=3, hidden=64, strategy="autodiff"
    )
    #: Their training.
    training: Training = Training(
        steps=1500, schedule="cosine", evaluate_every=250, checkpoint_every=1250
    )
    #: The text.
    source: Source = Source()
    #: Batches over which gradients are compared.
    gradient_batches: int = 32
    #: Fresh sequences of an evaluation of a task. A text is evaluated on its validation split.
    evaluation_batch: int = 256
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, length=1, gradient_batches=1, evaluation_batch=1)
        checks.not_empty(self, "tasks")
        checks.distinct(self, "tasks", "horizons")
        for name in self.tasks:
            steps = self.length if name == TEXT else self.task(name).steps(self.length)
            self.reaches(steps)
        if TEXT not in self.tasks:
            for field in dataclasses.fields(Source):
                value = getattr(self.source, field.name)
                if value != field.default:
                    raise UsageError(
                        f"{field.name}={value}: tasks={','.join(self.tasks)} reads no text; "
                        f"add {TEXT}"
                    )

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

    def task(self, name: str) -> tasks.Task:
        """The generated task of that name, which is not the text."""
        with renamed("task", "tasks"):
            task = tasks.by_name(name)
        task.check(self.length)
        return task


PRESETS = {
    "tiny": Config(
        length=8,
        horizons=(2,),
        population=Population(networks=("gru",), seeds=2, hidden=16, strategy="autodiff"),
        training=Training(
            batch=16,
            steps=200,
            learning_rate=0.02,
            schedule="cosine",
            evaluate_every=100,
            checkpoint_every=500,
        ),
        gradient_batches=8,
        evaluation_batch=64,
    ),
}
