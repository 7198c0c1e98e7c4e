"""Settings that training experiments share: the network, its training, and what they make of them.

An experiment holds them as fields of its `Config` and gives them its own defaults:

    network: Network = Network(cell="gru", hidden=128)
    training: Training = Training(steps=2000, learning_rate=0.01)

Each class checks its fields when it is made, so that a wrong value is refused before anything runs.
Where an experiment needs another field, it derives a class.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from rnnlab import cells, strategies
from rnnlab.combinators import Dropout, Stack, bidirectional
from rnnlab.errors import UsageError
from rnnlab.run import checks
from rnnlab.training import optimisers
from rnnlab.training.optimisers import Clip
from rnnlab.training.plan import Plan

if TYPE_CHECKING:  # the modules of models and data would slow down `--help`
    import optax

    from rnnlab.training.language import LanguageModel
    from rnnlab.training.model import Reader

COMPUTE = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Network:
    """A stack of recurrent layers of one kind."""

    #: A cell by its name in rnnlab.cells.CELLS: lstm, gru, tanh, ...; or MODULE:NAME of your own.
    cell: str = "lstm"
    #: Number of layers.
    layers: int = 1
    #: Hidden units of each layer.
    hidden: int = 128
    #: Dropout rate of the outputs of each layer in training.
    dropout: float = 0.0
    #: Whether dropout applies to the inputs of the first layer, too.
    dropout_inputs: bool = False
    #: How sequences are run: hoisted, autodiff, stepwise, rematerialised, split, auto, ...
    strategy: str = "hoisted"
    #: Type of the computation: float32 or bfloat16. Parameters are always float32.
    compute: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, layers=1, hidden=1)
        checks.one_of(self, "compute", COMPUTE)
        strategies.by_name(self.strategy)
        self.stack()

    def stack(self, **cell_settings: Any) -> Stack:
        """The layers, with dropout between them.

        Args:
            **cell_settings: fields of every cell, such as `forget_bias`.
        """
        with renamed("rate", "dropout"):
            dropout = (Dropout(self.dropout),) if self.dropout else ()
        layers: list[Any] = [*dropout] if self.dropout_inputs else []
        for _ in range(self.layers):
            layers += [cells.by_name(self.cell, self.hidden, **cell_settings), *dropout]
        return Stack(tuple(layers))

    def reader(self, outputs: int, **cell_settings: Any) -> Reader:
        """The layers with a linear readout of that many numbers; settings as in `stack`."""
        from rnnlab.training.model import Reader

        compute = None if self.compute == "float32" else jnp.dtype(self.compute)
        return Reader(self.stack(**cell_settings), outputs, self.strategy, compute)


def both_ways(layers: Stack) -> Stack:
    """The layers, each of which reads in both directions, with dropout as it was."""
    turned = (one if isinstance(one, Dropout) else bidirectional(one) for one in layers.layers)
    return Stack(tuple(turned))


@dataclasses.dataclass(frozen=True)
class LanguageNetwork(Network):
    """A network that reads symbols and predicts the next one."""

    #: Features of a symbol, learned; 0 reads symbols one-hot.
    embedding: int = 0

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, embedding=0)

    def model(self, symbols: int) -> LanguageModel:
        """The language model of that many symbols."""
        from rnnlab.training.language import LanguageModel

        return LanguageModel(self.reader(symbols), self.embedding)


@dataclasses.dataclass(frozen=True)
class Descent:
    """Gradient descent on batches."""

    #: Sequences of a batch; of a text, rows that are read side by side.
    batch: int = 32
    #: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw or nadam.
    optimiser: str = "adam"
    #: Learning rate, highest of its schedule.
    learning_rate: float = 0.003
    #: Larger gradients are scaled down to this norm; 0 for no clipping.
    clip_norm: float = 1.0
    #: Training steps in one dispatch.
    dispatch: int = 50

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, batch=1, dispatch=1)
        checks.non_negative(self, "learning_rate", "clip_norm")
        self.optimiser_of(self.learning_rate)

    def clip(self) -> Clip:
        """The bound of the gradient."""
        return Clip(norm=self.clip_norm or None)

    def optimiser_of(self, rate: float | optax.Schedule) -> optax.GradientTransformation:
        """The optimiser with that learning rate or schedule of it."""
        return optimisers.optimiser(self.optimiser, rate)


@dataclasses.dataclass(frozen=True)
class Scheduled(Descent):
    """Descent with a schedule of the learning rate, evaluations and checkpoints."""

    #: constant, linear, cosine or inverse_sqrt.
    schedule: str = "constant"
    #: Training steps during which the learning rate rises.
    warmup: int = 0
    #: Training steps between evaluations.
    evaluate_every: int = 500
    #: Training steps between checkpoints.
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        """Checks every field but `warmup`, whose limit is the number of training steps."""
        super().__post_init__()
        checks.at_least(self, evaluate_every=0, checkpoint_every=1)

    def make_optimiser(self, steps: int) -> optax.GradientTransformation:
        """The optimiser of a training of that many steps."""
        return self.optimiser_of(
            optimisers.schedule(self.schedule, self.learning_rate, steps, self.warmup)
        )

    def make_plan(self, steps: int, **more: Any) -> Plan:
        """The plan of a training of that many steps; `more` are further fields of `Plan`."""
        fields: dict[str, Any] = {
            "dispatch": self.dispatch,
            "evaluate_every": self.evaluate_every,
            "checkpoint_every": self.checkpoint_every,
        }
        return Plan(**(fields | more), steps=steps)


@dataclasses.dataclass(frozen=True)
class Epochs(Scheduled):
    """Descent over all of the data several times."""

    #: Training steps between evaluations; 0 evaluates after every epoch.
    evaluate_every: int = 0
    #: Times that the data are read.
    epochs: int = 8

    def __post_init__(self) -> None:
        """Checks every field but those whose limit depends on the size of the data."""
        super().__post_init__()
        checks.at_least(self, epochs=1)

    def epochs_plan(self, epoch: int, **more: Any) -> Plan:
        """The plan for epochs of that many training steps; `more` as in `make_plan`."""
        every = self.evaluate_every or epoch
        return self.make_plan(self.epochs * epoch, evaluate_every=every, **more)


@dataclasses.dataclass(frozen=True)
class Bucketed(Epochs):
    """Descent in batches of sequences of similar lengths."""

    #: Training steps in one dispatch; 1, for batches differ in length.
    dispatch: int = 1

    def __post_init__(self) -> None:
        """Checks every field but `warmup`, whose limit depends on the size of the data."""
        super().__post_init__()
        if self.dispatch != 1:
            raise UsageError(f"dispatch={self.dispatch}: must be 1, for batches differ in length")


@dataclasses.dataclass(frozen=True)
class Training(Scheduled):
    """Descent with a schedule for a given number of training steps."""

    #: Training steps.
    steps: int = 2000

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        self.plan()
        self.make()

    def make(self) -> optax.GradientTransformation:
        """The optimiser."""
        return self.make_optimiser(self.steps)

    def plan(self, **more: Any) -> Plan:
        """How long training is; `more` are further fields of `Plan`."""
        return self.make_plan(self.steps, **more)


@contextlib.contextmanager
def renamed(name: str, field: str) -> Iterator[None]:
    """An error of the library about its argument `name` becomes one about a field `field`."""
    try:
        yield
    except UsageError as error:
        raise UsageError(str(error).replace(f"{name}=", f"{field}=")) from error
