"""Settings of `rnn_vs_transformer`."""

from __future__ import annotations

import dataclasses

from rnnlab import cells
from rnnlab.data.source import Source
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.plan import Plan
from rnnlab.training.transformer_settings import TransformerNetwork


@dataclasses.dataclass(frozen=True)
class Training(settings.Training):
    """How the networks are trained on windows of the text."""

    #: Steps of a window. The state continues from window to window, the gradient ends with each.
    length: int = 128
    #: Learning rate of the transformer, highest of its schedule.
    transformer_rate: float = 0.004
    #: Whether those that are faster are trained for as long as the slowest, too.
    same_time: bool = True

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, length=1)
        checks.non_negative(self, "transformer_rate")

    @property
    def symbols(self) -> int:
        """Symbols of an update."""
        return self.batch * self.length


@dataclasses.dataclass(frozen=True)
class Timing:
    """What is timed, and how often."""

    #: T: steps of a window, each of which divides the symbols of an update.
    lengths: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    #: Symbols read before the one that is generated.
    positions: tuple[int, ...] = (128, 256, 512, 1024, 2048, 4096)
    #: Symbols that one call generates.
    generated: int = 32
    #: Rounds in which all networks have their turn.
    rounds: int = 9
    #: A network that has taken as many seconds has no more turns after three.
    seconds: float = 6.0

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, lengths=1, positions=1, generated=1, rounds=3)
        checks.distinct(self, "lengths", "positions")
        checks.non_negative(self, "seconds")
        for name in ("lengths", "positions"):
            if len(getattr(self, name)) < 3:
                raise UsageError(f"{name}={getattr(self, name)}: a slope needs at least 3 sizes")


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read, by which networks, trained and timed how."""

    #: The text.
    source: Source = Source(corpus="tiny_shakespeare")
    #: Cells of the recurrent networks of one layer, by their names in rnnlab.cells.CELLS.
    cells: tuple[str, ...] = ("lstm", "gru")
    #: Parameters of each network, at most.
    parameters: int = 350_000
    #: How recurrent networks are run: hoisted, autodiff, auto, ...
    strategy: str = "hoisted"
    #: The transformer.
    transformer: TransformerNetwork = TransformerNetwork(layers=3, span=128)
    #: The training of all of them.
    training: Training = Training(
        batch=16,
        length=128,
        steps=800,
        learning_rate=0.004,
        schedule="cosine",
        warmup=80,
        evaluate_every=100,
        checkpoint_every=500,
    )
    #: The clocks.
    timing: Timing = Timing()
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, parameters=1)
        checks.not_empty(self, "cells")
        checks.distinct(self, "cells")
        checks.seed(self, "seed")
        for cell in self.cells:
            with settings.renamed("cell", "cells"):
                cells.by_name(cell, 1)
        settings.LanguageNetwork(hidden=1, strategy=self.strategy)
        symbols = self.training.symbols
        for length in self.timing.lengths:
            if symbols % length:
                raise UsageError(
                    f"lengths={self.timing.lengths}: {length} does not divide the {symbols} "
                    f"symbols of an update (batch={self.training.batch} of "
                    f"length={self.training.length})"
                )

    def training_of(self, name: str) -> Training:
        """The training of a network by its name."""
        if name != TRANSFORMER:
            return self.training
        return dataclasses.replace(self.training, learning_rate=self.training.transformer_rate)

    def plan(self, steps: int) -> Plan:
        """How long a training of that many training steps is."""
        return self.training.make_plan(
            steps,
            best="validation",
            speed_unit="characters",
            units_per_update=self.training.symbols,
        )


#: What the transformer is called among the networks; the others are called by their cells.
TRANSFORMER = "transformer"

_DEFAULT = Config()

PRESETS = {
    "tiny": Config(
        source=Source(),
        cells=("gru",),
        parameters=7000,
        transformer=TransformerNetwork(heads=2, layers=1, span=16),
        training=dataclasses.replace(
            _DEFAULT.training,
            batch=16,
            length=16,
            steps=100,
            learning_rate=0.02,
            transformer_rate=0.01,
            warmup=10,
            evaluate_every=50,
            checkpoint_every=100,
        ),
        timing=Timing(
            lengths=(8, 16, 32),
            positions=(16, 64, 256),
            generated=4,
            rounds=3,
        ),
    ),
}
