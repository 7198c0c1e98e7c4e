"""Stacked and bidirectional layers as PyTorch and cuDNN number them.

Their pseudo-layers are all alike and in the order: first layer forward, first layer backward,
second layer forward, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rnnlab.arrays import Params
from rnnlab.cells.base import StandardCell
from rnnlab.combinators import Bidirectional, Dropout, Stack
from rnnlab.errors import UsageError
from rnnlab.interop.checks import Weights, check_cell, check_params, describe
from rnnlab.layer import Layer


class Pile(NamedTuple):
    """What a layer amounts to.

    Attributes:
      cell: the one kind of cell that it is made of.
      depth: number of layers.
      directions: 1, or 2 where every layer is bidirectional.
    """

    cell: StandardCell
    depth: int
    directions: int

    def features(self, layer: int, features_in: int | None) -> int | None:
        """Number of features that enter the layer of that index."""
        return self.directions * self.cell.hidden if layer else features_in


def pile_of(peer: str, layer: Layer, twins: Mapping[type, str]) -> Pile:
    """Depth, directions and cell of a layer; UsageError where the peer has no such layer."""
    rows = [
        (each.forward, each.backward) if isinstance(each, Bidirectional) else (each,)
        for each in (layer.layers if isinstance(layer, Stack) else (layer,))
        if not isinstance(each, Dropout)
    ]
    cells = [cell for row in rows for cell in row]
    for cell in cells:
        check_cell(peer, cell, twins)
    first: Any = cells[0]
    for row in rows:
        for cell in row:
            if describe(cell) != describe(first) or len(row) != len(rows[0]):
                raise UsageError(
                    f"layer has {describe(first)} in {len(rows[0])} and {describe(cell)} in "
                    f"{len(row)} directions: the layers of {peer} are all alike"
                )
    return Pile(first, len(rows), len(rows[0]))


def params_in_order(pile: Pile, layer: Layer, params: Params) -> list[Weights]:
    """The checked parameters of each pseudo-layer, in their order."""
    ordered: list[Weights] = []
    features = None
    for each in _leaves(layer, params):
        index = len(ordered) // pile.directions
        ordered.append(check_params(pile.cell, each, pile.features(index, features)))
        features = ordered[0]["wx"].shape[0]
    return ordered


def _leaves(layer: Layer, params: Params) -> Iterator[Params]:
    if isinstance(layer, Dropout):
        return
    if isinstance(layer, Stack):
        if not isinstance(params, tuple | list) or len(params) != len(layer.layers):
            raise UsageError(
                f"params is {type(params).__name__}: a stack of {len(layer.layers)} layers needs a "
                "tuple with one entry for each"
            )
        for each, inner in zip(layer.layers, params, strict=True):
            yield from _leaves(each, inner)
    elif isinstance(layer, Bidirectional):
        if not isinstance(params, Mapping) or set(params) != {"forward", "backward"}:
            raise UsageError(
                f"params is {type(params).__name__}: a bidirectional layer needs a dict of "
                "'forward' and 'backward'"
            )
        yield params["forward"]
        yield params["backward"]
    else:
        yield params


def arrange(layer: Layer, ordered: Iterator[Params]) -> Params:
    """The parameters of the whole layer from those of its pseudo-layers."""
    if isinstance(layer, Dropout):
        return {}
    if isinstance(layer, Stack):
        return tuple(arrange(each, ordered) for each in layer.layers)
    if isinstance(layer, Bidirectional):
        return {"forward": next(ordered), "backward": next(ordered)}
    return next(ordered)
