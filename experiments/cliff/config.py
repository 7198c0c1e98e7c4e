"""What `cliff` measures: the settings, their checks and presets."""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks

#: Largest size of a parameter or state: far beyond, σ is flat and rounding hides the wall.
LARGEST = 1e6
#: Least share of its numbers that an axis of the plot spans.
NARROWEST = 1e-9


@dataclasses.dataclass(frozen=True)
class Config:
    """The network, the part of the plane that is plotted, and the descent."""

    #: Steps T of the network, at least 1.
    length: int = 50
    #: State x_0 of the unit before the first step.
    x_0: float = 0.5
    #: What σ(x_T) should be, between 0 and 1.
    target: float = 0.7
    #: Least and largest w that are plotted.
    w_range: tuple[float, ...] = (4.2, 5.5)
    #: Least and largest b that are plotted.
    b_range: tuple[float, ...] = (-2.95, -2.05)
    #: Points of the surface in w and in height over the wall, at least 21.
    points: int = 301
    #: Where the descents start, (w, b), within the part that is plotted.
    start: tuple[float, ...] = (5.2, -2.6)
    #: Learning rate of the gradient descent, above 0.
    learning_rate: float = 0.05
    #: Largest norm of the gradient, and largest size of a component, that clipping leaves alone.
    threshold: float = 0.5
    #: Updates of each descent.
    updates: int = 400
    #: Further starts, drawn around `start`, which show whether one path is typical of its rule.
    neighbours: int = 200
    #: Standard deviation of the further starts in w and in b.
    spread: float = 0.03
    #: Seed of the further starts.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, length=1, points=21, updates=1, neighbours=1)
        checks.seed(self, "seed")
        checks.positive(self, "learning_rate", "threshold", "spread")
        if not abs(self.x_0) <= LARGEST:
            raise UsageError(f"x_0={self.x_0}: must lie within -{LARGEST:g} .. {LARGEST:g}")
        if not 0 < self.target < 1:
            raise UsageError(f"target={self.target}: must lie between 0 and 1, where σ(x) lies")
        for name in ("w_range", "b_range"):
            low_high = getattr(self, name)
            if len(low_high) != 2 or not -LARGEST <= low_high[0] < low_high[1] <= LARGEST:
                raise UsageError(
                    f"{name}={low_high}: must be low,high within -{LARGEST:g} .. {LARGEST:g}"
                )
            if low_high[1] - low_high[0] < NARROWEST * max(map(abs, low_high)):
                raise UsageError(f"{name}={low_high}: is too narrow to tell its points apart")
        if len(self.start) != 2 or not self.shows(*self.start):
            raise UsageError(f"start={self.start}: must be w,b within w_range and b_range")

    def shows(self, w: ArrayLike, b: ArrayLike) -> NDArray[np.bool_]:
        """Whether (w, b) lies in the part of the plane that is plotted; arrays broadcast."""
        w, b = np.asarray(w), np.asarray(b)
        in_w = (self.w_range[0] <= w) & (w <= self.w_range[1])
        return in_w & (self.b_range[0] <= b) & (b <= self.b_range[1])


PRESETS = {"tiny": Config(points=61, updates=100, neighbours=10)}
