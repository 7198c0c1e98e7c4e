"""What differs between libraries in one cell: the order of the gates, and a second bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnlab.cells import GRU
from rnnlab.cells.base import StandardCell
from rnnlab.interop.checks import Weights, namespace


def reorder(array: Any, given: Sequence[str], wanted: Sequence[str]) -> Any:
    """The blocks of gates along the last axis, from the order `given` to the order `wanted`."""
    blocks = split(array, given)
    return namespace(array).concatenate([blocks[gate] for gate in wanted], axis=-1)


def split(array: Any, gates: Sequence[str]) -> dict[str, Any]:
    """The blocks along the last axis, each by the name of its gate."""
    parts = namespace(array).split(array, len(gates), axis=-1)
    return dict(zip(gates, parts, strict=True))


def join_biases(cell: StandardCell, b_ih: Any, b_hh: Any) -> Weights:
    """One bias from two, `b = b_ih + b_hh`, gates in the cell's order.

    In the GRU the candidate's recurrent bias is inside the reset and stays separate, as `bh`.
    """
    if not isinstance(cell, GRU):
        return {"b": b_ih + b_hh}
    inside = b_hh[2 * cell.hidden :]
    outside = namespace(b_hh).zeros_like(inside)
    outside = namespace(b_hh).concatenate([b_hh[: 2 * cell.hidden], outside])
    return {"b": b_ih + outside, "bh": inside}


def second_bias(cell: StandardCell, params: Weights) -> Any:
    """The bias `b_hh` beside `b_ih = b`: zero, but for the GRU's `bh`."""
    zeros = namespace(params["b"]).zeros_like(params["b"])
    if not isinstance(cell, GRU):
        return zeros
    return namespace(zeros).concatenate([zeros[: 2 * cell.hidden], params["bh"]])
