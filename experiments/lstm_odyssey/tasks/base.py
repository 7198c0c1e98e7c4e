"""What a task is: sequences to learn from, to choose by and to test with, and a loss of a cell."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from rnnlab.arrays import Array, Float, Key, Params


class Model(NamedTuple):
    """A network as pure functions.

    Attributes:
        init: draws the parameters.
        loss: of parameters and a batch of the task, a mean, `[]`.
    """

    init: Callable[[Key], Params]
    loss: Callable[[Params, Any], Float[Array, ""]]


class Task(abc.ABC):
    """What cells learn; its batches are trees of arrays.

    Attributes:
        unit: of the loss.
        parameters: of the smallest networks, at most.
        baseline: the loss on test of the best answer that sees no input, or the time alone.
        validation: the batch by which a search chooses.
        test: the batch of which the loss is told.
    """

    unit: ClassVar[str]
    parameters: int
    baseline: float
    validation: Any
    test: Any

    @abc.abstractmethod
    def model(self, cell: str, hidden: int, strategy: str) -> Model:
        """A network with that cell, width and strategy that can learn the task."""

    @abc.abstractmethod
    def sample(self, key: Key) -> Any:
        """Draws the batch of an update."""
