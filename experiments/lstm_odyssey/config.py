"""Settings of `lstm_odyssey`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rnnlab import cells, strategies
from rnnlab.data.music import JSB, MusicSource
from rnnlab.data.recordings import FSDD, SpeechSource
from rnnlab.data.source import Source
from rnnlab.data.tasks import CopyMemory
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import optimisers

if TYPE_CHECKING:
    import optax

#: The LSTM with peepholes, to which Greff et al. compare, and their eight changes of it.
VANILLA = "lstm_peephole"
GREFF = ("lstm_nig", "lstm_nfg", "lstm_nog", "lstm_niaf", "lstm_noaf", "lstm_cifg", "lstm_np")
CELLS = (VANILLA, *GREFF, "lstm_fgr", "gru", "mut1", "mut2", "mut3", "mgu", "minimal", "tanh")
#: Tasks by the names of their fields.
TASKS = ("copy", "text", "music", "speech")


@dataclasses.dataclass(frozen=True)
class Copying:
    """The task `copy`: symbols, a pause, and the same symbols again."""

    #: Symbols to remember, of eight kinds.
    count: int = 2
    #: Steps T from the last of them to the first answer.
    pause: int = 10
    #: Parameters of the smallest networks, readout included, at most; widths follow from them.
    parameters: int = 2000
    #: Sequences of an update.
    batch: int = 16
    #: Sequences to validate on, and as many to test with.
    evaluated: int = 512

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, count=1, pause=1, parameters=1, batch=1, evaluated=1)

    def task(self) -> CopyMemory:
        """The task, which makes sequences."""
        return CopyMemory(count=self.count)


@dataclasses.dataclass(frozen=True)
class Reading:
    """The task `text`: the next character."""

    #: The text.
    source: Source = Source(corpus="tiny_shakespeare")
    #: Parameters of the smallest networks, readout included, at most; widths follow from them.
    parameters: int = 3500
    #: Stretches of an update, from all over the text.
    batch: int = 16
    #: Characters of a stretch; a network knows nothing of those before it.
    length: int = 32
    #: Stretches to validate on, and as many to test with.
    evaluated: int = 256

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, parameters=1, batch=1, length=1, evaluated=1)


@dataclasses.dataclass(frozen=True)
class Playing:
    """The task `music`: the next chord of a chorale."""

    #: The chorales.
    source: MusicSource = MusicSource(data=JSB)
    #: Parameters of the smallest networks, readout included, at most; widths follow from them.
    parameters: int = 4000
    #: Stretches of an update, from all over the chorales.
    batch: int = 16
    #: Frames of a stretch. Whole chorales validate and test.
    frames: int = 32

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, parameters=1, batch=1, frames=2)


@dataclasses.dataclass(frozen=True)
class Listening:
    """The task `speech`: which digit is spoken."""

    #: The recordings.
    source: SpeechSource = SpeechSource(data=FSDD)
    #: Parameters of the smallest networks, readout included, at most; widths follow from them.
    parameters: int = 2000
    #: Recordings of an update.
    batch: int = 16
    #: Frames of a recording, one every 25 ms; what comes later is left out.
    frames: int = 32

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, parameters=1, batch=1, frames=1)


@dataclasses.dataclass(frozen=True)
class Search:
    """The trials of a cell on a task: the same number, seeds and learning rates for every cell."""

    #: Searches that are independent of each other; each chooses its best trial.
    searches: int = 10
    #: Trials of a search at each size, each with a learning rate of its own.
    trials: int = 2
    #: Sizes: how many times the `parameters` of its task a network may have, at most.
    sizes: tuple[float, ...] = (1.0, 3.0)
    #: Learning rates are drawn log-uniformly from here
    lowest_rate: float = 0.003
    #: to here.
    highest_rate: float = 0.3

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, searches=2, trials=1, sizes=1)
        checks.increasing(self, "sizes")
        checks.positive(self, "lowest_rate", "highest_rate")
        if self.lowest_rate > self.highest_rate:
            raise UsageError(
                f"lowest_rate={self.lowest_rate}: must be at most highest_rate={self.highest_rate}"
            )


@dataclasses.dataclass(frozen=True)
class Training:
    """The training of a trial."""

    #: Training steps.
    steps: int = 200
    #: sgd, momentum, nesterov, rmsprop, adagrad, adam, adamw or nadam.
    optimiser: str = "adam"
    #: constant, linear, cosine or inverse_sqrt: how the learning rate falls.
    schedule: str = "cosine"
    #: Larger gradients are scaled down to this norm; 0 for no clipping.
    clip_norm: float = 1.0
    #: How sequences are run: hoisted, autodiff, auto, ...
    strategy: str = "autodiff"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, steps=1)
        checks.non_negative(self, "clip_norm")
        optimisers.optimiser(self.optimiser, 1.0)
        self.factor()
        strategies.by_name(self.strategy)

    def factor(self) -> optax.Schedule:
        """The factor of the learning rate at each training step."""
        return optimisers.schedule(self.schedule, 1.0, self.steps)


@dataclasses.dataclass(frozen=True)
class Config:
    """Which cells learn which tasks, and how they are searched."""

    #: Tasks: copy, text, music, speech.
    tasks: tuple[str, ...] = TASKS
    #: Cells by their names in rnnlab.cells.CELLS, or MODULE:NAME of your own.
    cells: tuple[str, ...] = CELLS
    #: The one of them to which the others are compared.
    reference: str = VANILLA
    #: The trials.
    search: Search = Search()
    #: The training of each.
    training: Training = Training()
    #: The task `copy`.
    copy: Copying = Copying()
    #: The task `text`.
    text: Reading = Reading()
    #: The task `music`.
    music: Playing = Playing()
    #: The task `speech`.
    speech: Listening = Listening()
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.seed(self, "seed")
        checks.not_empty(self, "tasks", "cells")
        checks.distinct(self, "tasks", "cells")
        checks.known(self, "tasks", "task", TASKS)
        checks.known(self, "cells", "cell", cells.CELLS, cells.factory_by_name)
        if self.reference not in self.cells:
            raise UsageError(
                f"reference={self.reference}: must be one of cells={','.join(self.cells)}"
            )


PRESETS = {
    "tiny": Config(
        cells=(VANILLA, "lstm_nfg"),
        search=Search(searches=3, trials=2, sizes=(1.0,)),
        training=Training(steps=40),
        copy=Copying(count=1, pause=3, parameters=600, batch=8, evaluated=64),
        text=Reading(source=Source(), parameters=1000, batch=8, length=8, evaluated=32),
        music=Playing(source=MusicSource(), parameters=1500, batch=8, frames=8),
        speech=Listening(source=SpeechSource(), parameters=800, batch=8, frames=8),
    ),
}
