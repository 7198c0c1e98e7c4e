"""Parameters to and from Equinox: `equinox.nn.LSTMCell` and `GRUCell`.

Equinox multiplies `W @ x`, so its matrices are transposed, `weight_ih [kH, D]` and
`weight_hh [kH, H]`, gates in the order of rnnlab and one `bias`. The GRU's `bias_n` is `bh`.

Source: the equations in the documentation of `equinox.nn`.
"""

from __future__ import annotations

from typing import Any

from rnnlab.arrays import Params
from rnnlab.cells import GRU, LSTM
from rnnlab.cells.base import StandardCell
from rnnlab.interop.checks import (
    as_arrays,
    check_cell,
    check_params,
    check_shape,
    check_twin,
    namespace,
)

PEER = "Equinox"
TWINS = {LSTM: "LSTMCell", GRU: "GRUCell, reset after the product"}


def from_equinox(cell: StandardCell, module: Any) -> Params:
    """The parameters of `cell` from an Equinox cell; with `use_bias=False` the biases are zero.

    Args:
      cell: an `LSTM` or `GRU`.
      module: an `equinox.nn.LSTMCell` or `GRUCell`.

    Raises:
      UsageError: a cell that Equinox does not have; a module of another kind or size.
    """
    check_cell(PEER, cell, TWINS)
    check_twin(PEER, cell, type(module).__name__, f"{type(cell).__name__}Cell")
    shapes = _shapes(cell)
    found = {name: getattr(module, name) for name in shapes}
    arrays = as_arrays(PEER, {name: a for name, a in found.items() if a is not None})
    matrix = arrays["weight_ih"]
    for name, shape in shapes.items():
        if name not in arrays:
            arrays[name] = namespace(matrix).zeros(shape, matrix.dtype)
        check_shape(f"{PEER} {name}", arrays[name], cell, shape)
    params = {"wx": matrix.T, "wh": arrays["weight_hh"].T, "b": arrays["bias"]}
    return params | {"bh": arrays["bias_n"]} if isinstance(cell, GRU) else params


def to_equinox(cell: StandardCell, params: Params) -> Any:
    """The `equinox.nn.LSTMCell` or `GRUCell` that equals `cell`. Needs Equinox.

    Raises:
      UsageError: a cell that Equinox does not have; parameters that are not those of `cell`.
    """
    check_cell(PEER, cell, TWINS)
    p = check_params(cell, params)
    import equinox
    import jax

    weights = {"weight_ih": p["wx"].T, "weight_hh": p["wh"].T, "bias": p["b"]}
    if isinstance(cell, GRU):
        weights["bias_n"] = p["bh"]
    kind = equinox.nn.GRUCell if isinstance(cell, GRU) else equinox.nn.LSTMCell
    module = kind(p["wx"].shape[0], cell.hidden, dtype=p["wx"].dtype, key=jax.random.key(0))
    return equinox.tree_at(
        lambda m: [getattr(m, name) for name in weights], module, list(weights.values())
    )


def _shapes(cell: StandardCell) -> dict[str, Any]:
    width = len(cell.gate_names) * cell.hidden
    shapes = {"weight_ih": (width, None), "weight_hh": (width, cell.hidden), "bias": (width,)}
    return shapes | {"bias_n": (cell.hidden,)} if isinstance(cell, GRU) else shapes
