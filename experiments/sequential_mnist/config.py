"""Settings of `sequential_mnist`."""

from __future__ import annotations

import dataclasses

from rnnlab import cells
from rnnlab.data.images import COUNTS, ORDERS, SIDES
from rnnlab.data.source import MADE, ImageSource
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training import settings
from rnnlab.training.plan import Plan

#: Unless set, biases start for memories of this fraction of the sequence: our choice.
CHRONO_PART = 8


@dataclasses.dataclass(frozen=True)
class Network(settings.Network):
    """A network whose gates can start with long memories."""

    #: Longest memory, in steps, for which the biases of an LSTM or a GRU start (chrono
    #: initialisation of Tallec and Ollivier 2018); 0 for their usual start, -1 for an eighth of the
    #: sequence where the cell has such a start.
    chrono: int = -1

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        checks.at_least(self, chrono=-1)

    def cell_settings(self, steps: int) -> dict[str, int]:
        """The settings of the cells for sequences of that many steps."""
        if self.chrono >= 0:
            return {"chrono": self.chrono} if self.chrono else {}
        longest = steps // CHRONO_PART
        offered = self.cell in cells.CELLS and "chrono" in cells.hyperparameters_of(self.cell)
        return {"chrono": longest} if offered and longest > 2 else {}


@dataclasses.dataclass(frozen=True)
class Training(settings.Epochs):
    """How the network is trained on shuffled images."""

    #: Times that the training images are read.
    epochs: int = 16


@dataclasses.dataclass(frozen=True)
class Config:
    """What is read in which order, by which network, trained how."""

    #: The images.
    source: ImageSource = ImageSource(images="mnist")
    #: rows, pixels or permuted.
    order: str = "pixels"
    #: The network.
    network: Network = Network(cell="gru", hidden=128)
    #: Its training.
    training: Training = Training(
        batch=64,
        epochs=16,
        learning_rate=0.004,
        schedule="cosine",
        warmup=200,
        checkpoint_every=200,
        dispatch=20,
    )
    #: Seed of all that is random.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.seed(self, "seed")
        checks.one_of(self.source, "images", tuple(COUNTS))
        checks.one_of(self, "order", ORDERS)
        count, batch = COUNTS[self.source.images][0], self.training.batch
        if batch > count:
            raise UsageError(
                f"batch={batch}: must be within 1 .. {count}, the number of training images"
            )
        self.plan()
        self.training.make_optimiser(self.steps)
        self.network.stack(**self.cell_settings)

    @property
    def epoch(self) -> int:
        """Training steps of an epoch."""
        return COUNTS[self.source.images][0] // self.training.batch

    @property
    def steps(self) -> int:
        """Training steps."""
        return self.training.epochs * self.epoch

    @property
    def cell_settings(self) -> dict[str, int]:
        """The settings of the network's cells."""
        side = SIDES[self.source.images]
        return self.network.cell_settings(side if self.order == "rows" else side**2)

    def plan(self) -> Plan:
        """How long training is."""
        return self.training.epochs_plan(
            self.epoch,
            best="error",
            speed_unit="images",
            units_per_update=self.training.batch,
        )


PRESETS = {
    "tiny": Config(
        source=ImageSource(images=MADE),
        network=Network(cell="gru", hidden=32),
        training=dataclasses.replace(
            Config().training, batch=20, epochs=6, learning_rate=0.01, warmup=20
        ),
    ),
}
