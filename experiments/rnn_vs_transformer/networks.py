"""The networks that are compared, with as many parameters each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from experiments.rnn_vs_transformer.config import TRANSFORMER, Config
from rnnlab.training.language import SymbolModel
from rnnlab.training.settings import LanguageNetwork
from rnnlab.training.sizing import count_parameters, widest
from rnnlab.training.transformer_settings import TransformerNetwork


class Contender(NamedTuple):
    """A network that is compared.

    Attributes:
        name: transformer, or that of the cell.
        network: its settings, with the size that was found.
        symbols: V.
    """

    name: str
    network: LanguageNetwork | TransformerNetwork
    symbols: int

    @property
    def model(self) -> SymbolModel:
        """The language model."""
        return self.network.model(self.symbols)

    def reaching(self, span: int) -> SymbolModel:
        """The model that can look back at `span - 1` symbols at least, with the parameters."""
        if isinstance(self.network, TransformerNetwork):
            return dataclasses.replace(self.network, span=span).model(self.symbols)
        return self.model

    @property
    def width(self) -> int:
        """Features of a symbol, or hidden units."""
        network = self.network
        return network.features if isinstance(network, TransformerNetwork) else network.hidden


def contenders(config: Config, symbols: int) -> list[Contender]:
    """The transformer and the recurrent networks, each as wide as its parameters allow.

    Raises:
        UsageError: the smallest network has too many.
    """
    heads = 2 * config.transformer.heads
    transformer = config.transformer
    if not transformer.features:
        transformer = _fitted(
            config,
            TRANSFORMER,
            symbols,
            lambda n: dataclasses.replace(config.transformer, features=n * heads),
        )
    found = [Contender(TRANSFORMER, transformer, symbols)]
    for cell in config.cells:
        network = _fitted(
            config,
            cell,
            symbols,
            lambda n, cell=cell: LanguageNetwork(cell=cell, hidden=n, strategy=config.strategy),
        )
        found.append(Contender(cell, network, symbols))
    return found


def _fitted(config: Config, name: str, symbols: int, sized: Callable[[int], Any]) -> Any:
    """The largest network within the parameters; `sized` makes those of sizes 1, 2, ..."""

    def parameters(size: int) -> int:
        return count_parameters(sized(size).model(symbols).init)

    return sized(widest(parameters, config.parameters))
