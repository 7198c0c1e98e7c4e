"""What `gradient_profiles` measures: the settings, their checks and presets."""

import dataclasses

import jax

from rnnlab import cells, initializers
from rnnlab.errors import UsageError
from rnnlab.gradients.parts import leaf_names
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks


@dataclasses.dataclass(frozen=True)
class Config:
    """Both measurements."""

    #: Cells, by name.
    cells: tuple[str, ...] = tuple(cells.CELLS)
    #: Hidden units.
    hidden: int = 64
    #: Steps T of each sequence, at least 4.
    length: int = 100
    #: Sequences for each network.
    batch: int = 2
    #: Networks for each cell.
    seeds: int = 20
    #: Initialiser of the recurrent matrix of every gate: orthogonal, identity, gaussian or uniform.
    init: str = "orthogonal"
    #: Spectral radius to which the recurrent matrix of every gate is rescaled, above 0.
    radius: float = 1.0
    #: Standard deviation of what the input adds to each gate, at least 0.
    input_scale: float = 1.0
    #: LSTM variants whose forget bias is varied; empty for none.
    forget_cells: tuple[str, ...] = (
        *("lstm", "lstm_peephole", "lstm_coupled", "lstm_nig", "lstm_noaf"),
    )
    #: Forget biases.
    forget_biases: tuple[float, ...] = (-2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0)
    #: Spectral radii of the recurrent matrices while the forget bias is varied, each at least 0.
    forget_radii: tuple[float, ...] = (0.0, 0.1, 1.0)
    #: The input scale while the forget bias is varied, at least 0.
    forget_input_scale: float = 0.1
    #: Floating type: float64 or float32.
    dtype: str = "float64"
    #: Seed of all networks and inputs.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        for name in ("cells", "forget_cells"):
            checks.known(self, name, "cell", cells.CELLS, own=cells.factory_by_name)
            checks.distinct(self, name)
        for name in self.forget_cells:
            if not has_forget_gate(name):
                known = ", ".join(filter(has_forget_gate, cells.CELLS))
                raise UsageError(
                    f"forget_cells={name}: has no forget gate; those that have: {known}"
                )
        checks.not_empty(self, "cells")
        checks.increasing(self, "forget_biases", "forget_radii")
        checks.at_least(self, hidden=1, length=4, batch=1, seeds=1)
        checks.seed(self, "seed")
        checks.positive(self, "radius")
        checks.non_negative(self, "input_scale", "forget_input_scale", "forget_radii")
        checks.finite(self, "forget_biases")
        checks.known(self, "init", "initialiser", initializers.INITIALIZERS)
        checks.one_of(self, "dtype", ("float64", "float32"))


def has_forget_gate(name: str) -> bool:
    """Whether the cell has a forget gate for c, or one that its input gate implies."""
    parts = leaf_names(jax.eval_shape(cells.by_name(name, 1).initial_state))
    return "forget_bias" in cells.hyperparameters_of(name) and "c" in parts and name != "lstm_nfg"


PRESETS = {
    "tiny": Config(
        cells=("tanh", "lstm"),
        hidden=8,
        length=20,
        seeds=3,
        forget_cells=("lstm",),
        forget_biases=(-1.0, 1.0, 3.0),
        forget_radii=(0.0, 1.0),
    )
}
