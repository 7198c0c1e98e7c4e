"""Series of numbers in text files, a row for each step and a column for each variable."""

from __future__ import annotations

import codecs
import csv
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Float
from rnnlab.errors import UsageError
from rnnlab.run.files import expanded

#: Bytes of a file, at most: a longer one is read by mistake.
MOST = 256 * 2**20


class Table(NamedTuple):
    """A series as a file has it.

    Attributes:
        names: of the columns; empty where the file has no header.
        values: the numbers.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "T D"]

    def columns(self, names: Sequence[str], path: str | os.PathLike[str]) -> Table:
        """Some of the columns in that order, or all where no names are given.

        A file without a header has as many columns as are asked for.

        Raises:
            UsageError: a column that is not there, or another number of columns.
        """
        if not names:
            return self
        if not self.names:
            if self.values.shape[1] != len(names):
                raise UsageError(
                    f"{path}: has {self.values.shape[1]} columns and no header; needed are "
                    f"{len(names)}, {', '.join(names)}"
                )
            return Table(tuple(names), self.values)
        missing = [name for name in names if name not in self.names]
        if missing:
            raise UsageError(f"{path}: has no column {missing[0]!r}, only {', '.join(self.names)}")
        places = [self.names.index(name) for name in names]
        return Table(tuple(names), self.values[:, places])


def read_series(path: str | os.PathLike[str], names: Sequence[str] = ()) -> Table:
    r"""Reads a series of finite numbers.

    Columns are separated by commas, semicolons, tabs or spaces. The first row may name them. A byte
    order mark, empty lines and lines that begin with `#` are left out.

    Args:
        path: the file.
        names: the columns that are wanted, in this order; others may have any contents. Empty for
            all of them.

    Raises:
        UsageError: no such file, or one that is no such series, with the line.
    """
    rows = _rows(path)
    if not rows:
        raise UsageError(f"{path}: holds no rows")
    header = () if all(_number(cell) is not None for cell in rows[0][1]) else _header(rows[0][1])
    body = rows[1:] if header else rows
    if not body:
        raise UsageError(f"{path}: holds no rows below its header")
    width = len(header) if header else len(body[0][1])
    for line, cells in body:
        if len(cells) != width:
            raise UsageError(f"{path}: line {line}: has {len(cells)} columns, not {width}")
    empty = Table(header, np.zeros((0, width))).columns(names, path)
    places = [header.index(name) for name in empty.names] if header else range(width)
    values = np.array([[_finite(path, line, cells[at]) for at in places] for line, cells in body])
    return Table(empty.names, values)


def _rows(path: str | os.PathLike[str]) -> list[tuple[int, list[str]]]:
    """The rows of cells, each with the number of its line."""
    place = expanded(pathlib.Path(path))
    try:
        if place.stat().st_size > MOST:
            raise UsageError(f"{path}: is longer than {MOST >> 20} MiB")
        raw = place.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no text in UTF-8") from error
    lines = text.splitlines()
    kept = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    separator = _separator(kept[0][1] if kept else "")
    if separator == " ":
        return [(n, line.split()) for n, line in kept]
    cells = csv.reader((line for _, line in kept), delimiter=separator)
    return [(n, [cell.strip() for cell in row]) for (n, _), row in zip(kept, cells, strict=False)]


def _separator(line: str) -> str:
    return next((mark for mark in ("\t", ";", ",") if mark in line), " ")


def _header(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cells)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _finite(path: str | os.PathLike[str], line: int, cell: str) -> float:
    value = _number(cell)
    if value is None or not np.isfinite(value):
        raise UsageError(f"{path}: line {line}: {cell!r} is no finite number")
    return value
