"""Parameters to and from Flax Linen: `SimpleCell`, `LSTMCell`, `OptimizedLSTMCell`, `GRUCell`.

Linen keeps a matrix for each gate: `ii/kernel [D, H]` and `hi/kernel [H, H]` for the gate i, and so
on. `SimpleCell` and the GRU have their bias beside the input, the LSTMs beside the state; the GRU's
`hn/bias` is `bh`. Both LSTMs have the same weights.

Source: the equations in the documentation of `flax.linen`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnlab.arrays import Params
from rnnlab.cells import GRU, LSTM, Elman
from rnnlab.cells.base import StandardCell
from rnnlab.interop.checks import (
    Weights,
    as_arrays,
    check_cell,
    check_names,
    check_params,
    check_shape,
    flatten,
    namespace,
    nest,
)
from rnnlab.interop.gates import split

PEER = "Flax Linen"
TWINS = {
    Elman: "SimpleCell with its activation_fn",
    LSTM: "LSTMCell or OptimizedLSTMCell",
    GRU: "GRUCell, reset after the product",
}


def from_linen(cell: StandardCell, variables: Mapping[str, Any]) -> Params:
    """The parameters of `cell` from what `init` of the Linen cell returned.

    Args:
      cell: an `Elman`, `LSTM` or `GRU`.
      variables: `{"params": ...}` or its content.

    Raises:
      UsageError: a cell that Linen does not have; weights of another cell, gate or shape.
    """
    check_cell(PEER, cell, TWINS)
    arrays = as_arrays(PEER, flatten(variables.get("params", variables)))
    check_names(PEER, cell, arrays, [name for names in _names(cell).values() for name in names])
    for part, names in _names(cell).items():
        shape = {"wx": (None, cell.hidden), "wh": (cell.hidden,) * 2}.get(part, (cell.hidden,))
        for name in names:
            check_shape(f"{PEER} {name}", arrays[name], cell, shape)
    return {
        part: namespace(arrays[names[0]]).concatenate([arrays[name] for name in names], axis=-1)
        for part, names in _names(cell).items()
    }


def to_linen(cell: StandardCell, params: Params) -> dict[str, Any]:
    """The weights of the Linen cell that equals `cell`: the entry `"params"` of its variables.

    With them: `module.apply({"params": to_linen(cell, params)}, carry, x)`

    Raises:
      UsageError: a cell that Linen does not have; parameters that are not those of `cell`.
    """
    check_cell(PEER, cell, TWINS)
    params = check_params(cell, params)
    flat: Weights = {}
    for part, names in _names(cell).items():
        flat |= split(params[part], names)
    return nest(flat)


def _names(cell: StandardCell) -> dict[str, list[str]]:
    """For each of our parameters the names of its blocks in Linen."""
    if isinstance(cell, Elman):
        return {"wx": ["i/kernel"], "wh": ["h/kernel"], "b": ["i/bias"]}
    biased = "i" if isinstance(cell, GRU) else "h"
    names = {
        "wx": [f"i{gate}/kernel" for gate in cell.gate_names],
        "wh": [f"h{gate}/kernel" for gate in cell.gate_names],
        "b": [f"{biased}{gate}/bias" for gate in cell.gate_names],
    }
    return names | {"bh": ["hn/bias"]} if isinstance(cell, GRU) else names
