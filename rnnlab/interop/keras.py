"""Parameters to and from Keras 3: `SimpleRNN`, `LSTM` and `GRU`, with `reset_after` or without.

A layer's weights are `kernel [D, kH]`, `recurrent_kernel [H, kH]` and `bias`. LSTM gates lie in
rnnlab's order, GRU gates in the order z, r, n (h in Keras's words). With `reset_after` the GRU has
two biases `[2, 3H]`, of the input and of the state: it is a `GRU`, whose `bh` is the candidate's
part of the second. Without, it is a `GRUResetBefore`. A bidirectional layer of Keras has one layer
for each direction, `forward_layer` and `backward_layer`, to be converted one by one.

Source: the documentation of `keras.layers.SimpleRNN`, `LSTM` and `GRU`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnlab.arrays import Params
from rnnlab.cells import GRU, LSTM, Elman, GRUResetBefore
from rnnlab.cells.base import StandardCell
from rnnlab.errors import UsageError
from rnnlab.interop.checks import (
    as_arrays,
    check_cell,
    check_names,
    check_params,
    check_shape,
    check_twin,
    describe,
    namespace,
)
from rnnlab.interop.gates import join_biases, reorder, second_bias

PEER = "Keras"
TWINS = {
    Elman: "SimpleRNN",
    LSTM: "LSTM",
    GRU: "GRU with reset_after=True",
    GRUResetBefore: "GRU with reset_after=False",
}
GRU_ORDER = ("z", "r", "n")


def from_keras(cell: StandardCell, weights: Any) -> Params:
    """The parameters of `cell` from a Keras layer or its `get_weights()`.

    Args:
      cell: an `Elman`, `LSTM`, `GRU` or `GRUResetBefore`.
      weights: the layer, or the list of its arrays; without the last (`use_bias=False`) it is zero.

    Raises:
      UsageError: a cell that Keras does not have; weights of another layer or shape.
    """
    check_cell(PEER, cell, TWINS)
    if hasattr(weights, "get_config"):  # a layer; Keras need not be installed
        _check_layer(cell, weights)
        weights = [variable.value for variable in weights.weights]
    names = ("kernel", "recurrent_kernel", "bias")
    arrays = as_arrays(PEER, dict(zip(names, _at_most_three(cell, weights), strict=False)))
    width = len(cell.gate_names) * cell.hidden
    bias_shape = (2, width) if isinstance(cell, GRU) else (width,)
    if "kernel" in arrays and "bias" not in arrays:
        kernel = arrays["kernel"]
        arrays["bias"] = namespace(kernel).zeros(bias_shape, kernel.dtype)
    check_names(PEER, cell, arrays, names)
    for name, shape in zip(names, ((None, width), (cell.hidden, width), bias_shape), strict=True):
        check_shape(f"{PEER} {name}", arrays[name], cell, shape)
    wx, wh, b = (reorder(arrays[name], _order(cell), cell.gate_names) for name in names)
    return {"wx": wx, "wh": wh} | (join_biases(cell, *b) if isinstance(cell, GRU) else {"b": b})


def to_keras(cell: StandardCell, params: Params) -> list[Any]:
    """The weights of the Keras layer that equals `cell`, as a list.

    With them, once the layer is built: `layer.set_weights(to_keras(cell, params))`

    Raises:
      UsageError: a cell that Keras does not have; parameters that are not those of `cell`.
    """
    check_cell(PEER, cell, TWINS)
    p = check_params(cell, params)
    b = p["b"]
    if isinstance(cell, GRU):
        b = namespace(b).stack([b, second_bias(cell, p)])
    return [reorder(array, cell.gate_names, _order(cell)) for array in (p["wx"], p["wh"], b)]


def _order(cell: StandardCell) -> tuple[str, ...]:
    return GRU_ORDER if isinstance(cell, GRU | GRUResetBefore) else cell.gate_names


def _at_most_three(cell: StandardCell, weights: Any) -> Sequence[Any]:
    if not isinstance(weights, Sequence) or not 2 <= len(weights) <= 3:
        found = type(weights).__name__
        found += f" of {len(weights)}" if isinstance(weights, Sequence) else ""
        raise UsageError(
            f"weights is {found}: {describe(cell)} needs a built layer of Keras, or a list of "
            "its kernel, recurrent_kernel and bias"
        )
    return weights


def _check_layer(cell: StandardCell, layer: Any) -> None:
    """Compares what the arrays do not show: kind of layer, activations and the place of reset."""
    kind = {Elman: "SimpleRNN", LSTM: "LSTM"}.get(type(cell), "GRU")
    check_twin(PEER, cell, type(layer).__name__, kind)
    config = layer.get_config()
    activation = cell.activation if isinstance(cell, Elman) else "tanh"
    wanted: dict[str, Any] = {"activation": "linear" if activation == "identity" else activation}
    if not isinstance(cell, Elman):
        wanted["recurrent_activation"] = "sigmoid"
    if kind == "GRU":
        wanted["reset_after"] = isinstance(cell, GRU)
    for name, value in wanted.items():
        check_twin(PEER, cell, f"{kind} with {name}={config[name]}", f"{kind} with {name}={value}")
