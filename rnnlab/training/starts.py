"""Starts of networks: a cell together with its initialisation, by the names that flags use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from rnnlab import cells, initializers, strategies
from rnnlab.errors import UsageError
from rnnlab.layer import Cell
from rnnlab.run import checks

#: Cells with an initialisation of their own, made from the hidden units H and the length T. Every
#: name in rnnlab.cells.CELLS is a start too, with that cell's default initialisation.
STARTS: dict[str, Callable[[int, int], Cell]] = {
    "tanh_identity": lambda hidden, length: cells.by_name(
        "tanh", hidden, wh_init=initializers.Identity()
    ),
    "tanh_orthogonal": lambda hidden, length: cells.by_name(
        "tanh", hidden, wh_init=initializers.Orthogonal()
    ),
    "tanh_gaussian": lambda hidden, length: cells.by_name(
        "tanh", hidden, wh_init=initializers.Gaussian()
    ),
    # Le, Jaitly and Hinton (2015): identity, and all other weights from N(0, 0.001²).
    "irnn": lambda hidden, length: cells.by_name(
        "relu", hidden, wh_init=initializers.Identity(), wx_init=initializers.Gaussian(0.001)
    ),
    # Tallec and Ollivier (2018): gates that forget within 1 .. T steps.
    "lstm_chrono": lambda hidden, length: cells.by_name("lstm", hidden, chrono=max(length, 3)),
    "gru_chrono": lambda hidden, length: cells.by_name("gru", hidden, chrono=max(length, 3)),
}


def by_name(name: str, hidden: int, length: int) -> Cell:
    """The cell of a start.

    Args:
        name: one of `STARTS` or of `rnnlab.cells.CELLS`, or `MODULE:NAME` of a cell of your own.
        hidden: hidden units H.
        length: steps T over which the network has to remember; only the chrono starts use it.

    Raises:
        UsageError: an unknown name, or a width that the cell cannot have.
    """
    if name in STARTS:
        return STARTS[name](hidden, length)
    if name not in cells.CELLS and ":" not in name:
        raise UsageError(
            f"networks={name!r}: unknown, choose one of {', '.join([*STARTS, *cells.CELLS])}, or "
            "MODULE:NAME of a cell of your own"
        )
    return cells.by_name(name, hidden)


@dataclasses.dataclass(frozen=True)
class Population:
    """Networks of several starts, each with many seeds that are trained side by side."""

    #: Networks: tanh_identity, tanh_orthogonal, tanh_gaussian, irnn, lstm_chrono, gru_chrono,
    #: any cell by its name in rnnlab.cells.CELLS, or MODULE:NAME of your own.
    networks: tuple[str, ...] = ("tanh_orthogonal", "gru")
    #: Networks of each start, with seeds 0, 1, ...
    seeds: int = 4
    #: Hidden units.
    hidden: int = 32
    #: How sequences are run: hoisted, autodiff, rematerialised, auto, ...
    strategy: str = "hoisted"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.at_least(self, seeds=1, hidden=1)
        checks.not_empty(self, "networks")
        checks.distinct(self, "networks")
        strategies.by_name(self.strategy)
        for name in self.networks:
            self.cell(name, 2)

    def cell(self, name: str, length: int) -> Cell:
        """The cell of the network of that name; see `by_name`."""
        return by_name(name, self.hidden, length)
