"""What `lyapunov` measures: the settings, their checks and presets."""

import dataclasses

from rnnlab import cells
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks


@dataclasses.dataclass(frozen=True)
class Config:
    """Both measurements."""

    #: Gains of the Gaussian recurrent matrix of the tanh network, each above 0.
    gains: tuple[float, ...] = (0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
    #: Widths N of the tanh network.
    widths: tuple[int, ...] = (32, 64, 128, 256)
    #: Standard deviations of the input u_t of the tanh network, each at least 0.
    input_stds: tuple[float, ...] = (0.0, 0.5)
    #: Networks for each point, at least 2, for there is a standard error.
    seeds: int = 10
    #: Steps of each trajectory.
    steps: int = 500
    #: First steps, which bring state and tangents onto the attractor and do not count.
    discard: int = 100
    #: Cells whose whole spectrum is measured; empty for none.
    spectrum_cells: tuple[str, ...] = ("tanh", "lstm", "gru")
    #: Gains of every recurrent matrix of these cells, each above 0.
    spectrum_gains: tuple[float, ...] = (0.8, 2.0, 4.0)
    #: Their width N.
    spectrum_hidden: int = 64
    #: Standard deviation of the input to each of their gates, at least 0.
    spectrum_input_std: float = 0.5
    #: Networks for each cell and gain, at least 2.
    spectrum_seeds: int = 4
    #: Steps of their trajectories, above `discard`.
    spectrum_steps: int = 500
    #: Floating type: float64 or float32.
    dtype: str = "float64"
    #: Seed of all networks and inputs.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.increasing(self, "gains", "widths", "input_stds", "spectrum_gains")
        checks.positive(self, "gains", "spectrum_gains")
        checks.non_negative(self, "input_stds", "spectrum_input_std")
        checks.at_least(self, widths=1, seeds=2, spectrum_seeds=2, spectrum_hidden=1)
        checks.at_least(self, steps=1, spectrum_steps=1)
        checks.seed(self, "seed")
        for name in ("steps", "spectrum_steps"):
            if not 0 <= self.discard < getattr(self, name):
                raise UsageError(
                    f"discard={self.discard}: must lie in 0..{getattr(self, name) - 1}, "
                    f"below {name}={getattr(self, name)}"
                )
        checks.known(self, "spectrum_cells", "cell", cells.CELLS, own=cells.factory_by_name)
        checks.distinct(self, "spectrum_cells")
        checks.one_of(self, "dtype", ("float64", "float32"))


PRESETS = {
    "tiny": Config(
        gains=(0.5, 1.0, 2.0),
        widths=(16, 32),
        seeds=2,
        steps=100,
        discard=20,
        spectrum_cells=("tanh", "lstm"),
        spectrum_gains=(0.8, 2.0),
        spectrum_hidden=8,
        spectrum_seeds=2,
        spectrum_steps=100,
    )
}
