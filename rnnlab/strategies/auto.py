"""The strategy that was fastest when the benchmark measured a layer of that size here.

`auto.tsv` beside this file has for each backend, dtype, number of gates, of rows and of units the
fastest strategy of the outputs alone and that of the gradient. It is written by

    python run.py --experiment=benchmark --config.suites=auto

which asks to be run on the machine in question. A layer takes the nearest entry of its dtype, by
the logarithms of the three sizes; a dtype that was not measured takes those of float32, and a
backend that is not in the table takes `autodiff`.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Iterable
from functools import cache, partial
from importlib import resources
from typing import Any, NamedTuple

import jax

from rnnlab.arrays import Inputs, Outputs, Params, State
from rnnlab.layer import Cell
from rnnlab.strategies.autodiff import autodiff
from rnnlab.strategies.base import BaseStrategy, Strategy, default_device
from rnnlab.strategies.control import Control
from rnnlab.tracing import shape_of, trace

TABLE = "auto.tsv"


class Entry(NamedTuple):
    """The fastest strategies for layers of one size."""

    backend: str
    dtype: str
    gates: int
    rows: int
    hidden: int
    forward: str
    gradient: str


@dataclasses.dataclass(frozen=True)
class Auto(BaseStrategy):
    """Runs the fastest strategy known for a layer of its size.

    It has reverse mode only, but where `autodiff` or `stepwise` is the fastest in both passes.
    """

    def __call__(
        self, cell: Cell, params: Params, xs: Inputs, state: State, control: Control
    ) -> tuple[State, Outputs]:
        """Looks the layer up, and runs it."""
        leaf = jax.tree.leaves(state)[0]
        gates, rows, hidden = _size(cell, params, xs, state)
        mine = entries_of(table(), default_device().platform, str(leaf.dtype))
        entry = nearest(mine, gates, rows, hidden)
        if entry is None:
            return autodiff(cell, params, xs, state, control)
        forward, gradient = (
            _chosen(name, cell, leaf.dtype, control) for name in (entry.forward, entry.gradient)
        )
        if forward is gradient:
            return forward(cell, params, xs, state, control)
        results: Any = _either(cell, forward, gradient, params, xs, state, control)
        return results


def _size(cell: Cell, params: Params, xs: Inputs, state: State) -> tuple[int, int, int]:
    """Gates, rows of the batch and units of a layer.

    Gates count as products with the state of the width of `h`, whatever the cell calls them.
    """
    leaf = jax.tree.leaves(state)[0]
    hidden = leaf.shape[-1]
    widths = [shape_of(product.out)[-1] for product in trace(cell, params, xs, state).inner]
    return max(round(sum(widths) / hidden), 1), math.prod(leaf.shape[:-1]), hidden


@cache
def table() -> tuple[Entry, ...]:
    """The entries of `auto.tsv`."""
    text = resources.files("rnnlab.strategies").joinpath(TABLE).read_text(encoding="utf-8")
    return tuple(read(text.splitlines()))


def read(lines: Iterable[str]) -> list[Entry]:
    """The entries in the lines of a table; those that start with # are comments."""
    rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
    return [
        Entry(
            row["backend"],
            row["dtype"],
            *(int(row[name]) for name in ("gates", "rows", "hidden")),
            forward=row["forward"],
            gradient=row["gradient"],
        )
        for row in rows
    ]


def entries_of(entries: Iterable[Entry], backend: str, dtype: str) -> list[Entry]:
    """The entries of a backend in that dtype; those in float32 where it has not been measured."""
    mine = [each for each in entries if each.backend == backend]
    return [each for each in mine if each.dtype == dtype] or [
        each for each in mine if each.dtype == "float32"
    ]


def nearest(entries: Iterable[Entry], gates: int, rows: int, hidden: int) -> Entry | None:
    """The entry whose sizes are nearest; None where there is none."""
    sizes = gates, rows, hidden

    def distance(entry: Entry) -> float:
        pairs = zip((entry.gates, entry.rows, entry.hidden), sizes, strict=True)
        return math.hypot(*(math.log(max(a, 1) / max(b, 1)) for a, b in pairs))

    return min(entries, key=distance, default=None)


def _chosen(name: str, cell: Cell, dtype: Any, control: Control) -> Strategy:
    """The strategy of that name, or `hoisted` where it does not take this call.

    cuDNN knows one cell, one dtype and no resets.
    """
    from rnnlab.strategies import STRATEGIES  # which has this strategy in its list

    chosen = STRATEGIES[name]
    plain = dtype == jax.numpy.float32 and control.fresh is None
    takes = chosen.refuses(cell) is None and (name != "cudnn" or plain)
    return chosen if takes else STRATEGIES["hoisted"]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _either(
    cell: Cell,
    forward: Strategy,
    gradient: Strategy,
    params: Params,
    xs: Any,
    state: State,
    control: Control,
) -> tuple[State, Outputs]:
    """Runs `forward` for the outputs alone, `gradient` where a gradient follows."""
    del gradient
    return forward(cell, params, xs, state, control)


def _either_forward(
    cell: Cell,
    forward: Strategy,
    gradient: Strategy,
    params: Params,
    xs: Any,
    state: State,
    control: Control,
) -> Any:
    del forward

    def run(params: Params, xs: Any, state: State) -> tuple[State, Outputs]:
        return gradient(cell, params, xs, state, control)

    return jax.vjp(run, params, xs, state)


def _either_backward(
    cell: Cell, forward: Strategy, gradient: Strategy, pull: Any, cotangents: tuple[State, Outputs]
) -> Any:
    del cell, forward, gradient
    d_params, d_xs, d_state = pull(cotangents)
    return d_params, d_xs, d_state, None


_either.defvjp(_either_forward, _either_backward)


#: The fastest strategy known.
auto = Auto()
