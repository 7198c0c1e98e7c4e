"""Parameters to and from PyTorch: `torch.nn.RNN`, `LSTM` and `GRU`, stacked and bidirectional.

PyTorch multiplies `W @ x`, so its matrices are transposed, `weight_ih [kH, D]` and
`weight_hh [kH, H]`, gates in the order of rnnlab. It adds two biases, `bias_ih` and `bias_hh`; `b`
is their sum, and `bh` what `bias_hh` adds to the GRU's candidate. A `Stack` of cells is
`num_layers`, of bidirectional layers `bidirectional=True` with `num_layers`; `Dropout` between
layers has no parameters.

Source: the equations in the documentation of `torch.nn.RNN`, `LSTM` and `GRU`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnlab.arrays import Params
from rnnlab.cells import GRU, LSTM, Elman
from rnnlab.interop.checks import (
    Weights,
    as_arrays,
    check_activation,
    check_names,
    check_shape,
    check_twin,
    namespace,
)
from rnnlab.interop.gates import join_biases, second_bias
from rnnlab.interop.layers import Pile, arrange, params_in_order, pile_of
from rnnlab.layer import Layer

PEER = "PyTorch"
TWINS = {Elman: "RNN with tanh or relu", LSTM: "LSTM", GRU: "GRU, reset after the product"}


def from_torch(layer: Layer, weights: Any) -> Params:
    """The parameters of `layer` from a module of PyTorch or its `state_dict()`.

    Args:
      layer: an `Elman`, `LSTM` or `GRU`, or a `Stack` or `Bidirectional` of equal ones.
      weights: a `torch.nn.RNN`, `LSTM` or `GRU`, or its state dict of tensors or arrays. Biases
        that are missing in all layers (`bias=False`) are zero.

    Returns:
      Parameters as `layer.init` arranges them, NumPy arrays in the dtype of the weights.

    Raises:
      UsageError: a cell that PyTorch does not have; weights of another cell, depth or shape.
    """
    pile = _pile(layer)
    if hasattr(weights, "state_dict"):  # a module; PyTorch need not be installed
        _check_mode(pile, weights)
        weights = weights.state_dict()
    arrays = _with_biases(pile, as_arrays(PEER, weights))
    check_names(PEER, pile.cell, arrays, [name for names in _names(pile) for name in names])
    features = None
    ordered = []
    for index, names in enumerate(_names(pile)):
        width = pile.features(index // pile.directions, features)
        ordered.append(_one_from_torch(pile, arrays, names, width))
        features = ordered[0]["wx"].shape[0]
    return arrange(layer, iter(ordered))


def to_torch(layer: Layer, params: Params) -> Weights:
    """The state dict of the module of PyTorch that equals `layer`, `bias_hh` zero but for `bh`.

    It is made of arrays, so that PyTorch is not needed. With it:
    `module.load_state_dict({name: torch.tensor(a) for name, a in to_torch(layer, params).items()})`

    Raises:
      UsageError: a cell that PyTorch does not have; parameters that are not those of `layer`.
    """
    pile = _pile(layer)
    weights: Weights = {}
    for names, params_one in zip(_names(pile), params_in_order(pile, layer, params), strict=True):
        matrices = (params_one["wx"].T, params_one["wh"].T)
        biases = (params_one["b"], second_bias(pile.cell, params_one))
        weights |= zip(names, matrices + biases, strict=True)
    return weights


def _pile(layer: Layer) -> Pile:
    pile = pile_of(PEER, layer, TWINS)
    check_activation(PEER, pile.cell, ("tanh", "relu"))
    return pile


def _check_mode(pile: Pile, module: Any) -> None:
    """Compares the kind of module, which its weights do not always show."""
    kind = type(pile.cell).__name__.upper()
    wanted = f"RNN_{pile.cell.activation.upper()}" if isinstance(pile.cell, Elman) else kind
    check_twin(PEER, pile.cell, getattr(module, "mode", type(module).__name__), wanted)


def _names(pile: Pile) -> list[tuple[str, str, str, str]]:
    suffixes = [
        f"_l{index}{direction}"
        for index in range(pile.depth)
        for direction in ("", "_reverse")[: pile.directions]
    ]
    return [
        (f"weight_ih{end}", f"weight_hh{end}", f"bias_ih{end}", f"bias_hh{end}") for end in suffixes
    ]


def _with_biases(pile: Pile, arrays: Weights) -> Weights:
    """The weights with biases of zero where there are none at all."""
    if any(name.startswith("bias") for name in arrays):
        return arrays
    zeros = {
        bias: namespace(arrays[names[0]]).zeros_like(arrays[names[0]][:, 0])
        for names in _names(pile)
        if names[0] in arrays
        for bias in names[2:]
    }
    return arrays | zeros


def _one_from_torch(
    pile: Pile, arrays: Mapping[str, Any], names: tuple[str, ...], features: int | None
) -> Params:
    cell = pile.cell
    width = len(cell.gate_names) * cell.hidden
    for name, shape in zip(
        names, ((width, features), (width, cell.hidden), (width,), (width,)), strict=True
    ):
        check_shape(f"{PEER} {name}", arrays[name], cell, shape)
    w_ih, w_hh, b_ih, b_hh = (arrays[name] for name in names)
    return {"wx": w_ih.T, "wh": w_hh.T} | join_biases(cell, b_ih, b_hh)
