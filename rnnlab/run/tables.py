"""Tables: the same rows in the terminal and in a report."""

import numbers
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rnnlab.errors import UsageError


def as_rows(data: Any, columns: Sequence[str] | None = None) -> tuple[list[str], list[list[Any]]]:
    """Column names and rows of anything that is a table.

    Args:
        data: a list of dicts, a list of sequences (then `columns` names them), a pandas DataFrame,
            or an xarray Dataset or named DataArray, whose coordinates become columns.
        columns: names of the columns; for dicts, which keys and in which order.

    Raises:
        UsageError: if a row has not as many cells as there are columns.
    """
    if hasattr(data, "to_dataframe"):
        data = data.to_dataframe().reset_index()
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        columns = list(data.columns) if columns is None else columns
        data = data.to_dict("records")
    rows = list(data)
    if rows and isinstance(rows[0], Mapping):
        columns = list(rows[0]) if columns is None else list(columns)
        rows = [[row.get(column, "") for column in columns] for row in rows]
    columns = list(columns or ())
    for index, row in enumerate(rows):
        if len(row) != len(columns):
            raise UsageError(f"row {index}: {len(row)} cells for {len(columns)} columns")
    return [str(column) for column in columns], [list(row) for row in rows]


def numeric_columns(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[bool]:
    """Which columns hold nothing but numbers, and are aligned to the right."""
    return [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(columns))]


def format_cell(value: Any) -> str:
    """The text of a cell: four significant digits for a float, anything else as it is."""
    value = _scalar(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(format_cell, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_table(data: Any, *, title: str = "", columns: Sequence[str] | None = None) -> None:
    """Prints a table to standard output; `data` and `columns` as in `as_rows`."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names, rows = as_rows(data, columns)
    table = Table(title=Text(title) if title else None, title_justify="left")
    for name, right in zip(names, numeric_columns(names, rows), strict=True):
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(format_cell(value)) for value in row))
    # A file or a pipe has no width of its own: long rows stay on one line there.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200).print(table)


def _is_number(value: Any) -> bool:
    value = _scalar(value)
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _scalar(value: Any) -> Any:
    """A NumPy or JAX scalar as the Python number it is."""
    return value.item() if getattr(value, "shape", None) == () else value
