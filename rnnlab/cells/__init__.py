"""Recurrent cells: one family in each file, and all of them by name."""

import dataclasses
import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from rnnlab.cells.base import CarouselState, Cell, GatedCell, HiddenState
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
    "GatedCell",
    "GreffLSTM",
    "HiddenState",
    "MinimalRNN",
    "PeepholeLSTM",
    "by_name",
]


def by_name(name: str, hidden: int, **settings: Any) -> Cell:
    """The cell called `name` in `CELLS` with `hidden` units.

    Args:
      name: one of `CELLS`.
      hidden: number of units `H`.
      **settings: fields of the cell, such as `forget_bias` or `wh_init`.

    Raises:
      UsageError: an unknown name, a setting that the cell does not have, or a value it refuses.
    """
    if name not in CELLS:
        close = difflib.get_close_matches(str(name).lower(), CELLS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"cell={name!r}: unknown, {hint}choose one of {', '.join(CELLS)}")
    known = settings_of(name)
    for setting, value in settings.items():
        if setting not in known:
            raise UsageError(
                f"{setting}={value!r}: cell {name!r} has no such setting, only {', '.join(known)}"
            )
    return CELLS[name](hidden, **settings)


def settings_of(name: str) -> tuple[str, ...]:
    """What can be set of the cell called `name`, apart from its number of units."""
    factory = CELLS[name]
    fixed = factory.keywords if isinstance(factory, partial) else {}
    fields = [field.name for field in dataclasses.fields(factory(1))]
    return tuple(field for field in fields if field != "hidden" and field not in fixed)
