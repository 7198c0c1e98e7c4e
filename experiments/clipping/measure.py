"""When does clipping the gradient, or a regulariser against its vanishing, let a network remember?

Source: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
networks" (2013), their experiment on the temporal order problem: success rate against the length T
for plain SGD (MSGD), SGD with norm clipping (MSGD-C), and with clipping and the regulariser Ω
(MSGD-CR), from three starts.

From the paper are the starts, 50 units, batches of 20, a constant learning rate without momentum,
the threshold 1, and that a run has succeeded when less than 1 % of 10,000 fresh sequences are
answered wrongly. The code published with it divides Ω by the number of steps, and so do we. Ours
are the learning rate, 0.02 where the paper has 0.01, and the weight of Ω, 8 for 4, chosen for
clip_penalty by trials on seeds that no run uses; the limit on steps, 5 million in the paper; and 20
seeds, not 5. So the methods are not tuned alike.

Command: python run.py --experiment=clipping
Under a minute: --config.tiny=true
T = 100 by one method: --config.lengths=100 --config.methods=clip_penalty
With the paper's numbers: --config.learning_rate=0.01 --config.penalty=4 --config.steps=5000000
Longer sequences than learned: --config.test_lengths=200,1000,5000
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from experiments import _clipping_report, _populations
from experiments._clipping_judge import Judge
from experiments._training import with_setting
from rnnlab import initializers
from rnnlab.cells import Elman
from rnnlab.data.tasks import TemporalOrder
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.training import log, model, optimisers
from rnnlab.training.loop import Outcome, train
from rnnlab.training.model import Reader
from rnnlab.training.optimisers import Clip
from rnnlab.training.plan import Plan
from rnnlab.training.step import Learner

TASK = TemporalOrder(2)
METHODS = ("sgd", "clip", "clip_penalty")
#: Incoming connections of a unit, and spectral radius, of the sparse start.
CONNECTIONS, RADIUS = 15, 0.95


def _smart_tanh(hidden: int) -> Reader:
    sparse = initializers.Sparse(initializers.Gaussian(), min(CONNECTIONS, hidden))
    return _network("tanh", hidden, 0.01, initializers.Rescaled(sparse, RADIUS))


def _basic_tanh(hidden: int) -> Reader:
    return _network("tanh", hidden, 0.1, _normal(0.1, hidden))


def _sigmoid(hidden: int) -> Reader:
    return _network("sigmoid", hidden, 0.01, _normal(0.01, hidden))


#: Networks as they start; the number of the paper's N(0, ·) is the standard deviation, as in the
#: code published with it. All biases are zero.
STARTS: dict[str, Callable[[int], Reader]] = {
    "smart_tanh": _smart_tanh,
    "basic_tanh": _basic_tanh,
    "sigmoid": _sigmoid,
}

#: What the small setting changes.
TINY: dict[str, Any] = {
    "lengths": (10,),
    "seeds": 3,
    "hidden": 16,
    "learning_rate": 0.1,
    "steps": 1500,
    "solved": 0.05,
    "evaluate_every": 250,
    "evaluation_batch": 1000,
    "test_lengths": (20,),
    "chunk": 125,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Which methods learn what, and for how long."""

    #: Methods: sgd, clip (the gradient's norm), clip_penalty (and the regulariser Ω).
    methods: tuple[str, ...] = METHODS
    #: Starts: smart_tanh (sparse, spectral radius 0.95), basic_tanh, sigmoid.
    starts: tuple[str, ...] = ("smart_tanh",)
    #: T of the temporal order problem, at least 10.
    lengths: tuple[int, ...] = (50, 100)
    #: Networks of each kind, with seeds 0, 1, ...
    seeds: int = 20
    #: Hidden units.
    hidden: int = 50
    #: Sequences of a training step.
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
    #: Steps between evaluations, a multiple of chunk.
    evaluate_every: int = 1000
    #: Fresh sequences that decide whether a network has solved the task.
    evaluation_batch: int = 10000
    #: Lengths at which networks are tested after training; empty for none.
    test_lengths: tuple[int, ...] = ()
    #: Training steps of a dispatch, and of a point in the curves.
    chunk: int = 250
    #: Use a small setting that takes less than a minute. Fields that are given other values than
    #: their defaults keep these.
    tiny: bool = False

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("seeds", "hidden", "batch", "evaluation_batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be a positive integer")
        for name, known in (("methods", METHODS), ("starts", STARTS), ("lengths", None)):
            _check_names(name, getattr(self, name), known)
        for length in (*self.lengths, *self.test_lengths):
            TASK.check(length)
        if not 0 < self.solved < 1:
            raise UsageError(f"solved={self.solved}: must be between 0 and 1")
        for name in ("clip_norm", "penalty"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise UsageError(f"{name}={getattr(self, name)}: must be above 0; see methods")
        self.plan()
        if self.evaluate_every % self.chunk:
            raise UsageError(
                f"evaluate_every={self.evaluate_every}: must be a multiple of chunk={self.chunk}"
            )
        self.optimiser()

    def plan(self) -> Plan:
        """How long each training is."""
        return Plan(
            steps=self.steps,
            chunk=self.chunk,
            evaluate_every=self.evaluate_every,
            checkpoint_every=max(self.evaluate_every, 1) * 2,
            unit="sequences",
            units=self.batch * self.seeds,
        )

    def optimiser(self) -> Any:
        """SGD without momentum."""
        return optimisers.optimiser(
            "sgd", optimisers.schedule("constant", self.learning_rate, self.steps)
        )


def run(config: Config, workdir: Workdir) -> None:
    """Trains, or reads what was trained; then writes pictures and report, and prints a table."""
    config = with_setting(config, tiny=TINY)
    data = measure(config, workdir)
    _clipping_report.write(workdir, data, config.solved)


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """The result: one training for each start, length and method, all seeds in one program."""
    grid = {"start": config.starts, "length": config.lengths, "method": config.methods}
    return _populations.measured(workdir, grid, partial(_train, config, workdir))


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


def _train(config: Config, workdir: Workdir, start: str, length: int, method: str) -> xr.Dataset:
    """Trains all seeds of one start by one method."""
    name = _populations.name_of(start, length, method)
    judge = Judge(
        workdir.within(name),
        STARTS[start](config.hidden),
        TASK,
        length,
        config.evaluation_batch,
        config.solved,
    )
    outcome = train(
        workdir,
        learner_of(config, start, length, method),
        config.plan(),
        jnp.stack([jax.random.key(seed) for seed in range(config.seeds)]),
        evaluate=judge.evaluate,
        stop=judge.all_decided,
        name=name,
        record_divergence=False,
    )
    tested = [
        dataclasses.replace(judge, length=test).wrong(outcome.state.params, config.steps)
        for test in config.test_lengths
    ]
    return _dataset(config, workdir.within(name), outcome, length, tested)


def _dataset(
    config: Config, folder: Workdir, outcome: Outcome, length: int, tested: list[np.ndarray]
) -> xr.Dataset:
    """One training as labelled arrays: evaluations, and what training steps had on average."""
    every = [*range(0, config.steps, config.evaluate_every), config.steps]
    chunks = [*range(config.chunk, config.steps, config.chunk), config.steps]
    rows = log.read(folder.path(log.METRICS).read_text(encoding="utf-8"), "train")
    evaluated = {
        name: _populations.series(outcome.evaluations, key, every, config.seeds)
        for name, key in _clipping_report.EVALUATED.items()
    }
    trained = {
        name: _populations.series(rows, key, chunks, config.seeds)
        for name, key in _clipping_report.TRAINED.items()
    }
    solved_at = _populations.last(
        _populations.series(outcome.evaluations, "solved_at", every, config.seeds)
    )
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
            "until": chunks,
            "seed": np.arange(config.seeds),
            "test_length": list(config.test_lengths),
        },
    )


def _network(activation: str, hidden: int, deviation: float, wh_init: Any) -> Reader:
    """A simple network whose other weights are drawn from N(0, deviation²)."""
    wx_init = _normal(deviation, TASK.features_in)
    cell = Elman(hidden, activation=activation, wx_init=wx_init, wh_init=wh_init)
    return Reader(cell, TASK.features_out, deviation=deviation)


def _normal(deviation: float, fan_in: int) -> initializers.Gaussian:
    return initializers.Gaussian(deviation * math.sqrt(fan_in))


def _check_names(field: str, names: tuple[Any, ...], known: Any) -> None:
    if not names:
        raise UsageError(f"{field}=(): must name at least one")
    if len(set(names)) < len(names):
        raise UsageError(f"{field}={','.join(map(str, names))}: names one of them twice")
    for name in names:
        if known is not None and name not in known:
            raise UsageError(f"{field}={name!r}: unknown, choose from {', '.join(known)}")
