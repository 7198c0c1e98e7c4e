"""Parameters to and from Flax NNX: `SimpleCell`, `LSTMCell`, `OptimizedLSTMCell`, `GRUCell`.

NNX keeps the gates side by side as rnnlab does, in `dense_i` and `dense_h`; only its `LSTMCell` has
a matrix for each gate. `SimpleCell` and the GRU have their bias beside the input, the LSTMs beside
the state. Its GRU has no recurrent bias of the candidate, `bh` must be zero.

Source: the equations in the documentation of `flax.nnx`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Params
from rnnlab.cells import GRU, LSTM, Elman
from rnnlab.cells.base import StandardCell, activation_by_name
from rnnlab.errors import UsageError
from rnnlab.interop.checks import (
    Weights,
    as_arrays,
    check_cell,
    check_names,
    check_params,
    check_shape,
    describe,
    flatten,
    namespace,
    nest,
)
from rnnlab.interop.gates import split

PEER = "Flax NNX"
TWINS = {
    Elman: "SimpleCell with its activation_fn",
    LSTM: "OptimizedLSTMCell or LSTMCell",
    GRU: "GRUCell, reset after the product",
}


def from_nnx(cell: StandardCell, weights: Any) -> Params:
    """The parameters of `cell` from an NNX cell, its `nnx.state`, or that as a dict.

    Args:
      cell: an `Elman`, `LSTM` or `GRU`.
      weights: the module, or its parameters; both forms of the LSTM are recognised.

    Raises:
      UsageError: a cell that NNX does not have; weights of another cell, gate, activation or shape.
    """
    check_cell(PEER, cell, TWINS)
    if not isinstance(weights, Mapping):
        from flax import nnx

        _check_functions(cell, weights)
        weights = nnx.state(weights, nnx.Param)
    arrays = as_arrays(PEER, {name: _value(leaf) for name, leaf in flatten(weights).items()})
    names = _names(cell, optimized="dense_i/kernel" in arrays)
    check_names(PEER, cell, arrays, [name for blocks in names.values() for name in blocks])
    for part, blocks in names.items():
        width = len(cell.gate_names) * cell.hidden // len(blocks)
        shape = {"wx": (None, width), "wh": (cell.hidden, width), "b": (width,)}[part]
        for name in blocks:
            check_shape(f"{PEER} {name}", arrays[name], cell, shape)
    params = {
        part: namespace(arrays[blocks[0]]).concatenate([arrays[name] for name in blocks], axis=-1)
        for part, blocks in names.items()
    }
    if isinstance(cell, GRU):
        params["bh"] = namespace(params["b"]).zeros_like(params["b"][: cell.hidden])
    return params


def to_nnx(cell: StandardCell, params: Params, *, optimized: bool = True) -> dict[str, Any]:
    """The parameters of the NNX cell that equals `cell`, as a dict.

    With them: `nnx.update(module, to_nnx(cell, params))`

    Args:
      cell: an `Elman`, `LSTM` or `GRU`.
      params: its parameters.
      optimized: for an `LSTM`, the form of `OptimizedLSTMCell`; False for that of `LSTMCell`.

    Raises:
      UsageError: a cell that NNX does not have; parameters that are not those of `cell`; a GRU
        whose `bh` is not zero.
    """
    check_cell(PEER, cell, TWINS)
    params = check_params(cell, params)
    if isinstance(cell, GRU) and np.any(np.asarray(params["bh"])):
        raise UsageError(
            "params['bh'] is not zero: the GRUCell of Flax NNX has no recurrent bias of the "
            "candidate; that of Flax Linen, PyTorch, Keras and Equinox has one"
        )
    flat: Weights = {}
    for part, blocks in _names(cell, optimized).items():
        flat |= split(params[part], blocks)
    return nest(flat)


def _names(cell: StandardCell, optimized: bool) -> dict[str, list[str]]:
    """For each of our parameters the names of its blocks in NNX."""
    if not isinstance(cell, LSTM):
        return {"wx": ["dense_i/kernel"], "wh": ["dense_h/kernel"], "b": ["dense_i/bias"]}
    if optimized:
        return {"wx": ["dense_i/kernel"], "wh": ["dense_h/kernel"], "b": ["dense_h/bias"]}
    return {
        "wx": [f"{'if_' if gate == 'f' else f'i{gate}'}/kernel" for gate in cell.gate_names],
        "wh": [f"h{gate}/kernel" for gate in cell.gate_names],
        "b": [f"h{gate}/bias" for gate in cell.gate_names],
    }


def _value(leaf: Any) -> Any:
    """The array inside a variable of NNX, which is not imported for a dict of arrays."""
    return leaf.get_value() if hasattr(leaf, "get_value") else leaf


def _check_functions(cell: StandardCell, module: Any) -> None:
    """Raises UsageError unless the module computes with the activations of `cell`."""
    if getattr(module, "residual", False):
        raise UsageError(f"weights are of a residual {type(module).__name__}: no {describe(cell)}")
    _check_function(cell, module, "gate_fn", activation_by_name("sigmoid"))
    name = cell.activation if isinstance(cell, Elman) else "tanh"
    _check_function(cell, module, "activation_fn", activation_by_name(name))


def _check_function(
    cell: StandardCell, module: Any, name: str, wanted: Callable[[Any], Any]
) -> None:
    """Compares at a few points; the same function goes by many names."""
    points = jnp.linspace(-2, 2, 6, dtype=jnp.float32)
    found = getattr(module, name, wanted)
    if not np.allclose(found(points), wanted(points), rtol=1e-5, atol=1e-5):
        raise UsageError(
            f"weights are of {type(module).__name__} with {name}={found!r}: another function than "
            f"that of {describe(cell)}"
        )
