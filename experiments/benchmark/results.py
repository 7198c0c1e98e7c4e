"""What the suites find: tables as they grow, facts about the machine, and `results.json`."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from rnnlab.run.workdir import Workdir

#: A table: values by column, which need not be the same ones in each row.
Rows = list[dict[str, Any]]

#: Columns of timed candidates.
MEDIAN, LOW, HIGH = "median (ms)", "lower quartile (ms)", "upper quartile (ms)"
FIRST, MEMORY = "first (s)", "temporaries (MiB)"
VERSUS_JAX, VERSUS_TORCH, VERSUS_PLAIN = "× best JAX peer", "× PyTorch", "× autodiff"
#: Cores that other processes took meanwhile, and the time of every round, which no table shows.
OTHERS, EACH_ROUND = "others (cores)", "each round (ms)"
#: How often all candidates were timed again, and what disturbed the machine even then.
REPEATS, DISTURBED = "repeats", "disturbed by"
#: What runs in the place of a strategy that does not run the layer its own way.
INSTEAD = "instead"

#: The file that holds everything.
FILE = "results.json"
#: Titles of tables from which figures are plotted.
LAYERS = "Layers"
SCALING = "Scaling of the gradient, around {base}, float32"


class Table(NamedTuple):
    """A table, which takes the place of an earlier one with the same title.

    Attributes:
      title: what the rows are about, with units.
      rows: its rows.
      complete: False if more rows will follow.
    """

    title: str
    rows: Rows
    complete: bool = True


class Comparison(NamedTuple):
    """The candidates of one problem, just timed; their rows are in a table too.

    Attributes:
      problem: its layer, shape and dtype.
      rows: a row for each pass and candidate.
    """

    problem: str
    rows: Rows


class Facts(NamedTuple):
    """What a suite has measured about the machine, by name."""

    facts: dict[str, Any]


class TextFile(NamedTuple):
    """A file to be written beside the results."""

    name: str
    content: str


#: What a suite yields whenever it has found something.
Result = Table | Comparison | Facts | TextFile


class Results:
    """What all suites have found so far, kept on disk so that Ctrl-C loses nothing.

    Args:
      workdir: where `results.json` goes.
      machine: what everything is measured on.

    Attributes:
      machine: the same, and what suites have measured about it.
      tables: rows by title.
    """

    def __init__(self, workdir: Workdir, machine: dict[str, Any]) -> None:
        self._workdir = workdir
        self.machine = dict(machine)
        self.tables: dict[str, Rows] = {}

    def add(self, found: Result) -> None:
        """Adds what a suite has found, and writes it."""
        match found:
            case Table():
                self.tables[found.title] = list(found.rows)
            case Facts():
                self.machine |= found.facts
            case TextFile():
                self._workdir.write(found.name, found.content)
            case Comparison():
                return
        contents = {"machine": self.machine, "tables": self.tables}
        self._workdir.write(FILE, json.dumps(contents, indent=2) + "\n")


def interval_of(ratio: str) -> str:
    """The column of the interval of a ratio."""
    return f"{ratio}, 95 %"


def short(number: float | None) -> float | str:
    """Four significant digits; empty for what is not known."""
    return "" if number is None else float(f"{number:.4g}")


def columns(rows: Rows) -> list[str]:
    """Names of the columns of a table, in the order in which rows bring them up."""
    hidden = EACH_ROUND, DISTURBED, INSTEAD  # notes say what happened
    return [name for name in dict.fromkeys(n for row in rows for n in row) if name not in hidden]


def known_points(rows: Rows, column: str) -> tuple[list[float], list[float]]:
    """Sizes and values of the rows of `scaling` that have a number in the column."""
    known = [(row["size"], row[column]) for row in rows if row.get(column) not in (None, "")]
    return [size for size, _ in known], [value for _, value in known]
