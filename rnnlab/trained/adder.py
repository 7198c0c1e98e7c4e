"""A trained network that adds: `12+34` is answered with `46`, or what it takes for the sum.

Its description has the `digits` of the longest numbers, and whether it reads sums in `reverse`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rnnlab.arrays import Params
from rnnlab.data import sums
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training.sums import Examination, SumNetwork


def describe(workdir: Workdir, network: SumNetwork, digits: int, reverse: bool) -> None:
    """Writes the description of a network that adds.

    Args:
        workdir: of the run.
        network: settings of the network.
        digits: of the longest numbers.
        reverse: whether sums are read from their end.
    """
    write_description(workdir, "sums", network, SumNetwork, digits=digits, reverse=reverse)


def load(kept: Kept) -> Adder:
    """The model that a work directory keeps."""
    digits, reverse = int(kept.description["digits"]), bool(kept.description["reverse"])
    network = SumNetwork(**kept.description["network"])
    model = dataclasses.replace(network, strategy=STRATEGY).model()
    step, params = kept.parameters(model.init)
    return Adder(model, params, digits, reverse, network, kept.config, step)


@dataclasses.dataclass(frozen=True, eq=False)
class Adder:
    """A trained network that adds two whole numbers.

    Attributes:
        model: encoder and decoder.
        params: their parameters.
        digits: of the longest numbers.
        reverse: whether sums are read from their end.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: Any = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    digits: int
    reverse: bool
    network: SumNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    def predict(self, lines: Sequence[str]) -> list[dict[str, Any]]:
        """The answer to each sum, such as `12+34`.

        Returns:
            For each line `{"line": "12+34", "answer": "46", "right": True}`.

        Raises:
            UsageError: a line that is no sum, or a number with more digits than the network knows.
        """
        numbers = sums.read_sums(lines, self.digits)
        if not lines:
            return []
        result = Examination(self.model, numbers, self.digits, self.reverse)(self.params)
        return [
            {"line": line, "answer": answer, "right": bool(right)}
            for line, answer, right in zip(lines, result.answers, result.right, strict=True)
        ]
