"""How long a training run is, and what happens when."""

from __future__ import annotations

import dataclasses

from rnnlab.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long a run is, and what happens when.

    Attributes:
        steps: training steps of the whole run.
        dispatch: training steps in one dispatch, and per row of metrics.
        evaluate_every: steps between evaluations; there is always one before the first step and one
            after the last.
        evaluate_at: additional steps with an evaluation.
        checkpoint_every: steps between checkpoints; there is always one after the last step.
        best: name of the number, in what an evaluation returns, of which the lowest is best; empty
            where none is.
        speed_unit: what the speed of training counts, such as "tokens".
        units_per_update: how many of them an update reads.
    """

    steps: int
    dispatch: int = 50
    evaluate_every: int = 500
    checkpoint_every: int = 500
    evaluate_at: tuple[int, ...] = ()
    best: str = ""
    speed_unit: str = "steps"
    units_per_update: int = 1

    def __post_init__(self) -> None:
        """Checks that all counts are positive."""
        for name in ("steps", "dispatch", "evaluate_every", "checkpoint_every"):
            if not 1 <= getattr(self, name) < 2**31:
                raise UsageError(
                    f"{name}={getattr(self, name)}: must be a positive integer below 2^31"
                )

    def next_stop(self, step: int) -> int:
        """The last training step of the dispatch that begins after `step` of them."""
        every = (self.dispatch, self.evaluate_every, self.checkpoint_every)
        marks = [mark for mark in self.evaluate_at if mark > step]
        return min(self.steps, *marks, *(step - step % period + period for period in every))
