"""How far a forecast may be off: an ensemble with noise like the errors of one step."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from rnnlab.arrays import Float
from rnnlab.errors import UsageError
from rnnlab.training.forecasting import Forecaster, free_run, warmed


class Ensemble(NamedTuple):
    """Forecasts that differ by what is added to every prediction before it is read.

    That is drawn, for each step and member, from the errors that the forecaster made one step ahead
    where it was shown everything: all variables of one error together, so that their correlations
    are kept. What such an ensemble does not have is that errors of a network follow one another.

    Attributes:
        forecaster: the forecaster.
        errors: of one step.
    """

    forecaster: Forecaster
    errors: Float[np.ndarray, "n D"]

    def members(
        self, before: Float[np.ndarray, "T *batch D"], steps: int, count: int, seed: int
    ) -> Float[np.ndarray, "members steps *batch D"]:
        """Forecasts from the end of some observations.

        Args:
            before: what is shown.
            steps: of a forecast.
            count: members.
            seed: of the noise.
        """
        state, _ = warmed(self.forecaster, before)
        shape = (count, *before.shape[1:])
        state = jax.tree.map(lambda a: np.broadcast_to(a, (count, *a.shape)), state)
        draws = np.random.default_rng(seed).integers(len(self.errors), size=(steps, *shape[:-1]))
        _, predicted = free_run(self.forecaster, state, steps, self.errors[draws])
        return np.moveaxis(predicted, 1, 0)

    def band(
        self,
        before: Float[np.ndarray, "T *batch D"],
        steps: int,
        *,
        members: int,
        level: float,
        seed: int = 0,
    ) -> tuple[Float[np.ndarray, "steps *batch D"], Float[np.ndarray, "steps *batch D"]]:
        """Between what the middle share `level` of the members lies; arguments as in `members`."""
        found = self.members(before, steps, members, seed)
        low, high = np.quantile(found, ((1 - level) / 2, (1 + level) / 2), axis=0)
        return low, high


def ensemble(
    forecaster: Forecaster, observed: Float[np.ndarray, "steps D"], warmup: int
) -> Ensemble:
    """The ensemble whose noise is that of the errors on a series, after a warm-up.

    Raises:
        UsageError: a series that ends with the warm-up.
    """
    if len(observed) < warmup + 2:
        raise UsageError(
            f"warmup={warmup}: needs a series of {warmup + 2} steps or more, and this has "
            f"{len(observed)}"
        )
    _, predicted = warmed(forecaster, observed[:-1])
    return Ensemble(forecaster, (observed[1:] - np.asarray(predicted))[warmup:])
