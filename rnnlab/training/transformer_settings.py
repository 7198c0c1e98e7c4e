"""Settings of a transformer that predicts the next symbol of a text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rnnlab.errors import UsageError
from rnnlab.run import checks

if TYPE_CHECKING:  # the modules of models would slow down `--help`
    from rnnlab.training.transformer import TransformerModel


@dataclasses.dataclass(frozen=True)
class TransformerNetwork:
    """A transformer that reads symbols and predicts the next one."""

    #: Features of a symbol, a multiple of twice the heads; 0 takes as many as fit a number of
    #: parameters.
    features: int = 0
    #: Heads of the attention.
    heads: int = 4
    #: Number of layers.
    layers: int = 2
    #: Features between the two linear maps of a layer, as a multiple of those of a symbol.
    widening: int = 4
    #: Symbols that one attends to in a layer, itself included.
    span: int = 128

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, features=0, heads=1, layers=1, widening=1, span=1)
        if self.features % (2 * self.heads):
            raise UsageError(
                f"features={self.features}: heads={self.heads} must divide it into even parts; "
                f"{2 * self.heads * max(round(self.features / (2 * self.heads)), 1)} would do"
            )

    def model(self, symbols: int) -> TransformerModel:
        """The language model of that many symbols."""
        from rnnlab.training.transformer import TransformerModel

        return TransformerModel(self, symbols)
