"""The values of an axis of a grid: names, numbers or objects with a label, checked."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from rnnlab import cells, initializers
from rnnlab.cells import StandardCell
from rnnlab.errors import UsageError
from rnnlab.layer import Cell, output_size
from rnnlab.sizes import LARGEST
from rnnlab.sweep.labels import label

#: Units where neither `hidden` nor a cell given as an object says how many.
UNITS = 64


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A value of an axis that is neither a name nor a number, and its name in the result."""

    label: str
    value: Any


def label_of(value: Any) -> Any:
    """The name of a value of an axis in the result."""
    return value.label if isinstance(value, Labelled) else value


def as_given(value: Any) -> Any:
    """A value of an axis as the user gave it."""
    return value.value if isinstance(value, Labelled) else value


def labels_of(values: Sequence[Any]) -> tuple[Any, ...]:
    """The names of all values of an axis in the result."""
    return tuple(map(label_of, values))


def axis_of(name: str, values: Any) -> tuple[Any, ...]:
    """The values of an axis as a tuple of plain Python values; an array may hold them."""
    plain = values.tolist() if isinstance(values, np.ndarray | jax.Array) else values
    if isinstance(plain, Sequence) and not isinstance(plain, str):
        # NumPy's scalars may be in a list.
        plain = [value.item() if isinstance(value, np.generic) else value for value in plain]
    if not isinstance(plain, tuple | list) or not plain:
        raise UsageError(f"{name}={values!r}: must be a tuple with at least one entry")
    for value in plain:
        if plain.count(value) > 1:
            raise UsageError(f"{name}={values!r}: {value!r} occurs twice")
    return tuple(plain)


def labelled_axis_of(name: str, values: Any) -> tuple[Any, ...]:
    """The values of an axis that takes objects: names as they are, objects with a label each."""
    if isinstance(values, Mapping):
        values = tuple(Labelled(str(each), value) for each, value in values.items())
    found = tuple(map(_with_label, axis_of(name, values)))
    labels = labels_of(found)
    for each in labels:
        if labels.count(each) > 1:
            raise UsageError(
                f"{name}: two of them are called {each!r}; name them, as in "
                f"{name}={{'first': …, 'second': …}}"
            )
    return found


def _with_label(value: Any) -> Any:
    if isinstance(value, Labelled) or value is None or isinstance(value, bool | int | float | str):
        return value
    is_object = _is_cell(value) or dataclasses.is_dataclass(value) or not callable(value)
    if isinstance(value, type) or (not is_object and _makes_cell(value)):
        return Labelled(label(_call(value, 1)), value)
    return Labelled(label(value), value)


def _call(factory: Any, *arguments: Any) -> Any:
    return factory(*arguments)


def _makes_cell(factory: Any) -> bool:
    """Whether a function makes cells, and is not an initialiser; those need a key and a shape."""
    try:
        return _is_cell(factory(1))
    except TypeError:
        return False


def _is_cell(value: Any) -> bool:
    return isinstance(value, Cell) and not isinstance(value, type)


def sizes_of(cells_: Sequence[Any], hidden: Any) -> Any:
    """The axis `hidden`, as given or from the cells that have a size of their own."""
    if hidden is not None:
        return hidden
    own = [output_size(given) for given in map(as_given, cells_) if _is_cell(given)]
    sizes = {size for size in own if size is not None}
    if len(sizes) > 1:
        raise UsageError(
            f"cells: have {', '.join(map(str, sorted(sizes)))} units; give all of them the same "
            "number, or give what makes them, such as partial(LSTM, forget_bias=2.0), and `hidden`"
        )
    return tuple(sizes) or (UNITS,)


def check_cell(cell: Any, hidden: Sequence[int]) -> None:
    """Raises UsageError unless it is or makes a cell, of the sizes of the grid."""
    given, name = as_given(cell), label_of(cell)
    if isinstance(given, str):
        cells.by_name(given, 1)
    elif _is_cell(given):
        _check_own_init(name, given)
        size = output_size(given)
        if size is not None and tuple(hidden) != (size,):
            raise UsageError(
                f"hidden={tuple(hidden)}: the cell {name} has {size} units; leave `hidden` unset, "
                "or give what makes the cell, such as partial(LSTM, forget_bias=2.0)"
            )
    elif not callable(given) or not _is_cell(given(1)):
        raise UsageError(
            f"cells={name!r}: must be a name, a cell, or what makes a cell from a number of units"
        )


def _check_own_init(name: str, cell: Any) -> None:
    """Raises UsageError for a cell whose own initialiser `inits` would replace."""
    if isinstance(cell, StandardCell) and cell.wh_init != StandardCell(1).wh_init:
        raise UsageError(
            f"cells={name!r}: recurrent matrices are drawn by `inits`; give its wh_init there"
        )


def initializer_of(init: Any) -> Any:
    """The initialiser that a value of the axis `inits` stands for, else UsageError."""
    given = as_given(init)
    if isinstance(given, str):
        return initializers.by_name(given)
    if not callable(given) or isinstance(given, type):
        raise UsageError(
            f"inits={label_of(init)!r}: must be a name, or an initialiser such as Gaussian(0.5)"
        )
    return given


def fields_of(cell: Any) -> tuple[str, ...]:
    """What can be set of a cell of the grid, apart from its number of units."""
    given = as_given(cell)
    if not _is_cell(given):
        return cells.hyperparameters_of(given)
    fields = dataclasses.fields(given) if dataclasses.is_dataclass(given) else ()
    return tuple(each.name for each in fields if each.init and each.name != "hidden")


@functools.lru_cache(maxsize=1024)
def cell_of(cell: Any, hidden: int, settings: tuple[tuple[str, Any], ...]) -> Cell:
    """A cell of the grid; the same object each time, so that its programs are found again."""
    given = as_given(cell)
    values = {name: as_given(value) for name, value in settings}
    if isinstance(given, str):
        return cells.by_name(given, hidden, **values)
    if not _is_cell(given):
        return given(hidden, **values)
    return dataclasses.replace(given, **values) if values else given


def check_number(name: str, value: Any, *, positive: bool) -> None:
    """Raises UsageError unless a value is a finite number, not below zero or above it."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and value <= LARGEST
    if not good or not value >= 0 or (positive and value == 0):
        kind = "positive" if positive else "non-negative"
        raise UsageError(f"{name}={value!r}: must be a {kind}, finite number")
