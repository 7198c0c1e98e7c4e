"""What `jacobian_spectra` measures: the settings, their checks and presets."""

import dataclasses

from rnnlab import cells
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    #: Numbers of steps T, each at least 1.
    lengths: tuple[int, ...] = (1, 2, 4, 8, 16, 64)
    #: Width N of the networks in the histograms.
    hidden: int = 64
    #: Widths at which products and powers are compared with the theory.
    widths: tuple[int, ...] = (32, 64, 128)
    #: Cells measured without a theory; empty for none.
    cells: tuple[str, ...] = ("tanh", "lstm", "gru")
    #: Networks for each case.
    seeds: int = 10
    #: Gain of every recurrent matrix, above 0; those of the cells are orthogonal.
    gain: float = 1.0
    #: Standard deviation of what the input adds to each gate of the cells, at least 0.
    input_scale: float = 0.5
    #: Floating type: float64 or float32.
    dtype: str = "float64"
    #: Seed of all networks and inputs.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, lengths=1, widths=1, hidden=1, seeds=1)
        checks.seed(self, "seed")
        checks.increasing(self, "lengths", "widths")
        checks.known(self, "cells", "cell", cells.CELLS, own=cells.factory_by_name)
        checks.distinct(self, "cells")
        checks.positive(self, "gain")
        checks.non_negative(self, "input_scale")
        checks.one_of(self, "dtype", ("float64", "float32"))


PRESETS = {"tiny": Config(lengths=(1, 2, 4), hidden=8, widths=(8,), cells=("lstm",), seeds=3)}
