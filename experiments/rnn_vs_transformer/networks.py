"""The networks that are compared, with as many parameters each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
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
    found = [Contender(TRANSFORMER, _transformer(config, symbols), symbols)]
    for cell in config.cells:
        network = _fitted(config, symbols, partial(_recurrent, config, cell))
        found.append(Contender(cell, network, symbols))
    return found


def _transformer(config: Config, symbols: int) -> TransformerNetwork:
    network = config.transformer
    if network.features:
        return network

    def sized(size: int) -> TransformerNetwork:
        return dataclasses.replace(network, features=2 * network.heads * size)

    return _fitted(config, symbols, sized)


def _recurrent(config: Config, cell: str, hidden: int) -> LanguageNetwork:
    return LanguageNetwork(cell=cell, hidden=hidden, strategy=config.strategy)


def _fitted(config: Config, symbols: int, sized: Callable[[int], Any]) -> Any:
    """The largest network within the parameters; `sized` makes those of sizes 1, 2, ..."""

    def parameters(size: int) -> int:
        return count_parameters(sized(size).model(symbols).init)

    return sized(widest(parameters, config.parameters))
