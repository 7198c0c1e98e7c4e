"""Tables: the same rows in the terminal and in a report."""

import numbers
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from rnnlab.errors import UsageError

#: Anything that is a table.
Table = (
    pd.DataFrame | xr.Dataset | xr.DataArray | Iterable[Mapping[str, Any]] | Iterable[Sequence[Any]]
)


def as_frame(data: Table, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Anything that is a table as a DataFrame, in whose cells the values are what they were.

    Args:
        data: a list of dicts, a list of sequences (then `columns` names them), a DataFrame, or an
            xarray Dataset or named DataArray, whose coordinates become columns.
        columns: names of the columns; for dicts, which keys and in which order.

    Raises:
        UsageError: if a row has not as many cells as there are columns.
    """
    if isinstance(data, (xr.Dataset, xr.DataArray)):
        data = data.to_dataframe().reset_index()
    if isinstance(data, pd.DataFrame):
        return data if columns is None else data[list(columns)]
    rows: list[Sequence[Any]] = []
    for index, row in enumerate(data):
        if isinstance(row, Mapping):
            columns = list(row) if columns is None else columns
            row = [row.get(column, "") for column in columns]
        if len(row) != len(columns or ()):
            raise UsageError(f"row {index}: {len(row)} cells for {len(columns or ())} columns")
        rows.append(row)
    names = list(map(str, columns or ()))
    # As objects: pandas would make 3 and None the numbers 3.0 and nan.
    cells = [pd.Series([row[place] for row in rows], dtype=object) for place in range(len(names))]
    return pd.DataFrame(dict(enumerate(cells))).set_axis(names, axis="columns")


def numeric_columns(frame: pd.DataFrame) -> list[bool]:
    """Which columns hold numbers and at most gaps besides, and are aligned to the right.

    None, a dash and an empty text are gaps.
    """
    return [_is_numeric(frame.iloc[:, place]) for place in range(frame.shape[1])]


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table with the text of each cell."""
    return frame.astype(object).map(format_cell)


def format_cell(value: Any) -> str:
    """The text of a cell: four significant digits for a float, a dash for a gap."""
    value = _scalar(value)
    if value is None:
        return "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(format_cell, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_table(data: Table, *, title: str = "", columns: Sequence[str] | None = None) -> None:
    """Prints a table to standard output; `data` and `columns` as in `as_frame`."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    if sys.stdout is None:  # a process without one
        return
    frame = as_frame(data, columns)
    table = RichTable(title=Text(title) if title else None, title_justify="left")
    for name, right in zip(frame.columns, numeric_columns(frame), strict=True):
        table.add_column(Text(str(name)), justify="right" if right else "left", overflow="fold")
    for row in texts(frame).itertuples(index=False, name=None):
        table.add_row(*map(Text, row))
    # A file or a pipe has no width of its own: long rows stay on one line there.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200).print(table)


#: What stands, beside None, where a row has no number.
_GAPS = ("", "-", "–")


def _is_numeric(column: "pd.Series[Any]") -> bool:
    values = [value for value in map(_scalar, column) if not _is_gap(value)]
    return bool(values) and all(
        isinstance(value, numbers.Real) and not isinstance(value, bool) for value in values
    )


def _is_gap(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in _GAPS)


def _scalar(value: Any) -> Any:
    """A scalar of NumPy, JAX or xarray as the Python number it is, told by its shape."""
    return value.item() if getattr(value, "shape", None) == () else value
