"""Recurrent cells: one family in each file, and all of them by name."""

import dataclasses
import difflib
import inspect
from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any

from rnnlab import own
from rnnlab.cells.base import CarouselState, HiddenState, StandardCell
from rnnlab.cells.elman import AdditiveIdentity, Elman
from rnnlab.cells.greff import GateRecurrentState, GreffLSTM
from rnnlab.cells.gru import GRU, GRUResetBefore
from rnnlab.cells.lstm import LSTM
from rnnlab.cells.lstm_history import LSTM1997, ConstantErrorCarousel
from rnnlab.cells.lstm_norm import CellNormLSTM
from rnnlab.cells.lstm_peephole import CoupledLSTM, PeepholeLSTM
from rnnlab.cells.mgu import MGU
from rnnlab.cells.minimal_rnn import MinimalRNN
from rnnlab.cells.mut import MUT1, MUT2, MUT3
from rnnlab.errors import UsageError
from rnnlab.layer import Cell
from rnnlab.sizes import check_positive

#: Every cell by the name that flags use; called with the number of units and settings by keyword.
CELLS: dict[str, Callable[..., Cell]] = {
    "tanh": partial(Elman, activation="tanh"),
    "relu": partial(Elman, activation="relu"),
    "sigmoid": partial(Elman, activation="sigmoid"),
    "linear": partial(Elman, activation="identity"),
    "additive": AdditiveIdentity,
    "cec": ConstantErrorCarousel,
    "lstm1997": LSTM1997,
    "lstm": LSTM,
    "lstm_peephole": PeepholeLSTM,
    "lstm_coupled": CoupledLSTM,
    "lstm_cell_norm": CellNormLSTM,
    "lstm_nig": partial(GreffLSTM, variant="NIG"),
    "lstm_nfg": partial(GreffLSTM, variant="NFG"),
    "lstm_nog": partial(GreffLSTM, variant="NOG"),
    "lstm_niaf": partial(GreffLSTM, variant="NIAF"),
    "lstm_noaf": partial(GreffLSTM, variant="NOAF"),
    "lstm_cifg": partial(GreffLSTM, variant="CIFG"),
    "lstm_np": partial(GreffLSTM, variant="NP"),
    "lstm_fgr": partial(GreffLSTM, variant="FGR"),
    "gru": GRU,
    "gru_reset_before": GRUResetBefore,
    "mgu": MGU,
    "minimal": MinimalRNN,
    "mut1": MUT1,
    "mut2": MUT2,
    "mut3": MUT3,
}

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "LSTM1997",
    "MGU",
    "MUT1",
    "MUT2",
    "MUT3",
    "AdditiveIdentity",
    "CarouselState",
    "Cell",
    "CellNormLSTM",
    "ConstantErrorCarousel",
    "CoupledLSTM",
    "Elman",
    "GRUResetBefore",
    "GateRecurrentState",
    "GreffLSTM",
    "HiddenState",
    "MinimalRNN",
    "PeepholeLSTM",
    "StandardCell",
    "by_name",
]


def by_name(name: str, hidden: int, **settings: Any) -> Cell:
    """A cell by the name that flags use, with `hidden` units.

    Args:
      name: one of `CELLS`, or `MODULE:NAME` of a cell of your own: a class, or a function, in a
        module that Python finds, called like `NAME(hidden, **settings)`.
      hidden: number of units `H`.
      **settings: fields of the cell, such as `forget_bias` or `wh_init`.

    Raises:
      UsageError: an unknown name, a setting that the cell does not have, or a value it refuses.
    """
    factory = factory_by_name(name)
    hidden = check_positive("hidden", hidden)
    known = _settings(factory)
    for setting, value in settings.items():
        if setting not in known:
            raise UsageError(
                f"{setting}={value!r}: cell {name!r} has no such setting, only {', '.join(known)}"
            )
    if ":" in name:
        return _made(name, hidden, tuple(sorted(settings.items())))
    return factory(hidden, **settings)


@lru_cache(maxsize=256)
def _made(name: str, hidden: int, settings: tuple[tuple[str, Any], ...]) -> Cell:
    """A user's cell, the same object each time, so that what was compiled for it is found again."""
    return _own(name)(hidden, **dict(settings))


def hyperparameters_of(cell: str | Callable[..., Cell]) -> tuple[str, ...]:
    """What can be set of a cell, apart from its number of units.

    Args:
      cell: its name, or what makes it from its number of units.
    """
    return _settings(factory_by_name(cell) if isinstance(cell, str) else cell)


def factory_by_name(name: str) -> Callable[..., Cell]:
    """What makes the cell called `name` from its number of units."""
    if ":" in str(name):
        return _own(name)
    if name not in CELLS:
        close = difflib.get_close_matches(str(name).lower(), CELLS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(
            f"cell={name!r}: unknown, {hint}choose one of {', '.join(CELLS)}, or MODULE:NAME of "
            "a cell of your own"
        )
    return CELLS[name]


@cache
def _own(name: str) -> Callable[..., Cell]:
    """A user's cell, from `MODULE:NAME`; the working directory is searched as well."""
    factory = own.load("cell", name)
    try:
        made: Any = factory(1)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"cell={name!r}: makes no cell from a number of units alone ({reason})"
        ) from error
    if not isinstance(made, Cell):
        raise UsageError(
            f"cell={name!r}: makes {type(made).__name__}, which lacks one of the methods init, "
            "initial_state and step"
        )
    return factory


def _settings(factory: Callable[..., Cell]) -> tuple[str, ...]:
    """Fields of the cell that `factory` makes, but the units and what the factory sets itself."""
    fixed = factory.keywords if isinstance(factory, partial) else {}
    made: Any = factory(1)
    if not dataclasses.is_dataclass(made):
        return ()
    takes = inspect.signature(factory).parameters
    open_ended = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in takes.values())
    names = [field.name for field in dataclasses.fields(made) if field.init]
    return tuple(
        name
        for name in names
        if name != "hidden" and name not in fixed and (open_ended or name in takes)
    )
