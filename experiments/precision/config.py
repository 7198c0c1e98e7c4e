"""What `precision` measures: the settings, their checks and presets."""

import dataclasses

from experiments.precision.schema import CONTROL
from rnnlab import cells, initializers
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks


@dataclasses.dataclass(frozen=True)
class Config:
    """The networks, and the lengths at which they are measured."""

    #: Cells, beside the linear orthogonal network.
    cells: tuple[str, ...] = ("tanh",)
    #: How the recurrent matrix of each gate of `cells` is drawn, before it is rescaled to a radius.
    init: str = "gaussian"
    #: Spectral radii of the recurrent matrices, each above 0.
    radii: tuple[float, ...] = (0.5, 0.9, 1.0, 1.1, 1.5)
    #: Lengths T in steps.
    lengths: tuple[int, ...] = (
        1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700,
        1000, 1500, 2000, 3000, 5000, 7000, 10000,
    )  # fmt: skip
    #: Hidden units H.
    hidden: int = 32
    #: Networks at each radius.
    seeds: int = 3
    #: Standard deviation of the Gaussian inputs of `cells`; 0 for none.
    input_scale: float = 0.0
    #: Error of log10 ‖∂L/∂s_0‖, in decades, above which a value counts as wrong.
    tolerance: float = 0.1
    #: Spectral radius at which the first of `cells` is to be chaotic.
    chaotic_radius: float = 3.0
    #: Networks at that radius.
    chaotic_seeds: int = 64
    #: Longest of `lengths` at that radius.
    chaotic_length: int = 1000
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.not_empty(self, "cells", "radii")
        checks.known(self, "cells", "cell", cells.CELLS, own=cells.factory_by_name)
        checks.distinct(self, "cells", "radii")
        checks.known(self, "init", "initialiser", initializers.INITIALIZERS)
        checks.at_least(self, hidden=1, seeds=1, chaotic_seeds=1, chaotic_length=1, lengths=1)
        checks.increasing(self, "lengths")
        checks.positive(self, "radii", "tolerance", "chaotic_radius")
        checks.non_negative(self, "input_scale")
        if self.lengths[0] > self.chaotic_length:
            raise UsageError(
                f"chaotic_length={self.chaotic_length}: must not be below the least of lengths, "
                f"{self.lengths[0]}"
            )

    @property
    def networks(self) -> tuple[str, ...]:
        """The linear orthogonal network, and `cells`."""
        return (CONTROL, *self.cells)

    @property
    def chaotic_lengths(self) -> tuple[int, ...]:
        """The lengths at which the chaotic networks are measured."""
        return tuple(length for length in self.lengths if length <= self.chaotic_length)


PRESETS = {
    "tiny": Config(
        radii=(0.5, 1.5),
        lengths=(1, 10, 100, 1000),
        hidden=8,
        seeds=2,
        chaotic_seeds=4,
        chaotic_length=100,
    )
}
