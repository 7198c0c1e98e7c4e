"""Settings of `clipping`."""

from __future__ import annotations

import dataclasses

import optax

from experiments.clipping.starts import STARTS, TASK
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import optimisers
from rnnlab.training.plan import Plan

#: Dimensions of the result, outermost first.
GRID = ("start", "length", "method")
METHODS = ("sgd", "clip", "clip_penalty")


@dataclasses.dataclass(frozen=True)
class Config:
    """Which methods learn what, and for how long."""

    #: Methods: sgd, clip (the gradient's norm), clip_penalty (and the regulariser Ω).
    methods: tuple[str, ...] = METHODS
    #: Starts: smart_tanh (sparse, spectral radius 0.95), basic_tanh, sigmoid.
    starts: tuple[str, ...] = ("smart_tanh",)
    #: T of the temporal order problem, at least 10.
    lengths: tuple[int, ...] = (50, 100)
    #: Networks of each start, with seeds 0, 1, ...
    seeds: int = 20
    #: Hidden units.
    hidden: int = 50
    #: Sequences of a batch.
    batch: int = 20
    #: Learning rate, constant.
    learning_rate: float = 0.02
    #: Norm to which the methods that clip scale a larger gradient down.
    clip_norm: float = 1.0
    #: Weight of Ω / T in the method clip_penalty.
    penalty: float = 8.0
    #: Training steps at most; a run ends earlier when every seed has solved the task or diverged.
    steps: int = 40000
    #: A network has solved the task when a smaller share of fresh sequences is answered wrongly.
    solved: float = 0.01
    #: Training steps between evaluations, a multiple of `dispatch`.
    evaluate_every: int = 1000
    #: Fresh sequences that decide whether a network has solved the task.
    evaluation_batch: int = 10000
    #: Lengths at which networks are tested after training; empty for none.
    test_lengths: tuple[int, ...] = ()
    #: Training steps of a dispatch, and of a point in the curves.
    dispatch: int = 250
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, seeds=1, hidden=1, batch=1, evaluation_batch=1)
        checks.positive(self, "clip_norm", "penalty")
        checks.not_empty(self, "methods", "starts", "lengths")
        checks.distinct(self, "methods", "starts", "lengths", "test_lengths")
        checks.known(self, "methods", "method", METHODS)
        checks.known(self, "starts", "start", STARTS)
        for length in (*self.lengths, *self.test_lengths):
            TASK.check(length)
        if not 0 < self.solved < 1:
            raise UsageError(f"solved={self.solved}: must be between 0 and 1")
        self._check_used("clip_norm", "clip", "clip_penalty")
        self._check_used("penalty", "clip_penalty")
        self.plan()
        if self.evaluate_every % self.dispatch:
            raise UsageError(
                f"evaluate_every={self.evaluate_every}: must be a multiple of "
                f"dispatch={self.dispatch}"
            )
        self.optimiser()

    def _check_used(self, field: str, *methods: str) -> None:
        """Refuses a number that only these methods use, if none of them is chosen."""
        value = getattr(self, field)
        if value != getattr(Config, field) and not set(methods) & set(self.methods):
            raise UsageError(
                f"{field}={value}: methods={','.join(self.methods)} would ignore it; "
                f"add {' or '.join(methods)}"
            )

    def plan(self) -> Plan:
        """How long each training is."""
        return Plan(
            steps=self.steps,
            dispatch=self.dispatch,
            evaluate_every=self.evaluate_every,
            checkpoint_every=max(self.evaluate_every, 1) * 2,
            speed_unit="sequences",
            units_per_update=self.batch * self.seeds,
        )

    def optimiser(self) -> optax.GradientTransformation:
        """SGD without momentum."""
        rate = optimisers.schedule("constant", self.learning_rate, self.steps)
        return optimisers.optimiser("sgd", rate)


PRESETS = {
    "tiny": Config(
        lengths=(10,),
        seeds=3,
        hidden=16,
        learning_rate=0.1,
        steps=1500,
        solved=0.05,
        evaluate_every=250,
        evaluation_batch=1000,
        test_lengths=(20,),
        dispatch=125,
    ),
}
