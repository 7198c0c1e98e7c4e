"""How long a training run is, and what happens when."""

from __future__ import annotations

import dataclasses

from rnnlab.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long a run is, and what happens when.

    Attributes:
        steps: training steps of the whole run.
        chunk: training steps per dispatch, and per row of metrics.
        evaluate_every: steps between evaluations; there is always one before the first step and one
            after the last.
        evaluate_at: additional steps with an evaluation.
        checkpoint_every: steps between checkpoints; there is always one after the last step.
        best: name of the number, in what an evaluation returns, of which the lowest is best; empty
            where none is.
        unit: what a step consumes, for the speed, such as "tokens".
        units: how many of them.
    """

    steps: int
    chunk: int = 50
    evaluate_every: int = 500
    checkpoint_every: int = 500
    evaluate_at: tuple[int, ...] = ()
    best: str = ""
    unit: str = "steps"
    units: int = 1

    def __post_init__(self) -> None:
        """Checks that all counts are positive."""
        for name in ("steps", "chunk", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be a positive integer")

    def next_stop(self, step: int) -> int:
        """The end of the chunk that begins after `step` steps."""
        every = (self.chunk, self.evaluate_every, self.checkpoint_every)
        marks = [mark for mark in self.evaluate_at if mark > step]
        return min(self.steps, *marks, *(step - step % period + period for period in every))
