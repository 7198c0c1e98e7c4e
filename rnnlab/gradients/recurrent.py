"""The recurrent matrices as they are: spectral radius and singular values, gate by gate."""

from __future__ import annotations

from typing import Any, NamedTuple

from rnnlab import initializers
from rnnlab.cells.base import Array, Params
from rnnlab.combinators import Bidirectional, Residual, Stack
from rnnlab.errors import UsageError
from rnnlab.gradients.step import check_finite


class RecurrentMatrix(NamedTuple):
    """Measurements of one square block `[..., H, H]` of `wh`.

    Attributes:
      spectral_radius: ρ, the largest absolute value of an eigenvalue, `[...]`.
      sigma_max: σ_max, the largest singular value, `[...]`.
      singular_values: all of them, in descending order, `[..., H]`.
    """

    spectral_radius: Array
    sigma_max: Array
    singular_values: Array


def recurrent_matrices(cell: Any, params: Any) -> dict[str, RecurrentMatrix]:
    """Measures the recurrent matrix of each gate.

    Args:
      cell: a cell or a combinator.
      params: its parameters; they may carry leading axes.

    Returns:
      The measurements by the name of the gate: `h` for a simple network, `i`, `f`, `g`, `o` for the
      LSTM; with the layer in front in a stack, `0.i`, and the direction in a bidirectional layer,
      `forward.i`. A cell without `wh`, such as the additive identity, contributes none.

    Raises:
      UsageError: NaN or inf, or `wh` of another width than the cell's gates.
    """
    check_finite("params", params)
    return _measure(cell, params, "")


def _measure(cell: Any, params: Any, prefix: str) -> dict[str, RecurrentMatrix]:
    if isinstance(cell, Residual):
        return _measure(cell.layer, params, prefix)
    if isinstance(cell, Stack):
        layers = {str(i): (layer, params[i]) for i, layer in enumerate(cell.layers)}
    elif isinstance(cell, Bidirectional):
        layers = {name: (getattr(cell, name), params[name]) for name in ("forward", "backward")}
    else:
        return _measure_cell(cell, params, prefix)
    found = {}
    for name, (layer, layer_params) in layers.items():
        found |= _measure(layer, layer_params, f"{prefix}{name}.")
    return found


def _measure_cell(cell: Any, params: Params, prefix: str) -> dict[str, RecurrentMatrix]:
    if "wh" not in params:
        return {}
    blocks = initializers.gate_blocks(params["wh"])
    names = cell.recurrent_blocks
    if blocks.shape[-3] != len(names):
        raise UsageError(
            f"params['wh'] has {blocks.shape[-3]} blocks: {type(cell).__name__} needs one for each "
            f"of {', '.join(names)}"
        )
    radius, sigma = initializers.spectral_radius(blocks), initializers.singular_values(blocks)
    return {
        prefix + name: RecurrentMatrix(radius[..., i], sigma[..., i, 0], sigma[..., i, :])
        for i, name in enumerate(names)
    }
