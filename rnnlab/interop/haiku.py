"""Parameters to and from Haiku: `hk.VanillaRNN`, `hk.LSTM` and `hk.GRU`.

- `VanillaRNN` is an `Elman` with relu and two biases, whose sum is `b`.
- `LSTM` has one matrix `[D + H, 4H]` for input and state, gates in the order i, g, f, o, and adds 1
  to the forget gate: its bias of f is `b_f - 1`.
- `GRU` resets before the product, so that it is a `GRUResetBefore`, gates in the order z, r, n. It
  writes `h' = (1 - z) * h + z * n`, with the other sense of z; as `1 - σ(a) = σ(-a)`, its columns
  of z have the other sign.

Source: the equations in the documentation of `haiku`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnlab.arrays import Params
from rnnlab.cells import LSTM, Elman, GRUResetBefore
from rnnlab.cells.base import StandardCell
from rnnlab.errors import UsageError
from rnnlab.interop.checks import (
    Weights,
    as_arrays,
    check_activation,
    check_cell,
    check_names,
    check_params,
    check_shape,
    describe,
    flatten,
    namespace,
)
from rnnlab.interop.gates import join_biases, reorder, second_bias, split

PEER = "Haiku"
TWINS = {
    Elman: "VanillaRNN with relu",
    LSTM: "LSTM",
    GRUResetBefore: "GRU, reset before the product",
}
#: Name of the module where it was given none.
NAMES = {Elman: "vanilla_rnn", LSTM: "lstm", GRUResetBefore: "gru"}
LSTM_ORDER = ("i", "g", "f", "o")
GRU_ORDER = ("z", "r", "n")


def from_haiku(cell: StandardCell, weights: Mapping[str, Any], name: str | None = None) -> Params:
    """The parameters of `cell` from those of a transformed Haiku function.

    Args:
      cell: an `Elman` with relu, an `LSTM` or a `GRUResetBefore`.
      weights: what the function's `init` returned; other modules may be among it.
      name: name of the recurrent module; None for `vanilla_rnn`, `lstm` or `gru`.

    Raises:
      UsageError: a cell that Haiku does not have; weights of another cell or shape.
    """
    _check(cell)
    name = name or NAMES[type(cell)]
    arrays = _inside(cell, weights, name)
    shapes = _shapes(cell)
    required = [part for part in shapes if part != "linear_1/b"]
    optional = [part for part in shapes if part not in required and part in arrays]
    check_names(f"{PEER} {name}", cell, arrays, required + optional)
    for part in required + optional:
        check_shape(f"{PEER} {name}/{part}", arrays[part], cell, shapes[part])
    if isinstance(cell, Elman):
        b = arrays["linear/b"]
        b_hh = arrays.get("linear_1/b", namespace(b).zeros_like(b))
        matrices = {"wx": arrays["linear/w"], "wh": arrays["linear_1/w"]}
        return matrices | join_biases(cell, b, b_hh)
    if isinstance(cell, LSTM):
        return _lstm_from_haiku(cell, arrays)
    return {
        ours: reorder(_turn_z(arrays[theirs], GRU_ORDER), GRU_ORDER, cell.gate_names)
        for ours, theirs in (("wx", "w_i"), ("wh", "w_h"), ("b", "b"))
    }


def to_haiku(
    cell: StandardCell, params: Params, name: str | None = None
) -> dict[str, dict[str, Any]]:
    """The parameters of the Haiku module that equals `cell`, as `apply` takes them.

    The bias of the LSTM's forget gate is rounded by the subtraction of 1; all else is exact.

    Args:
      cell: an `Elman` with relu, an `LSTM` or a `GRUResetBefore`.
      params: its parameters.
      name: name of the recurrent module; None for `vanilla_rnn`, `lstm` or `gru`.

    Raises:
      UsageError: a cell that Haiku does not have; parameters that are not those of `cell`.
    """
    _check(cell)
    name = name or NAMES[type(cell)]
    p = check_params(cell, params)
    if isinstance(cell, Elman):
        return {
            f"{name}/linear": {"w": p["wx"], "b": p["b"]},
            f"{name}/linear_1": {"w": p["wh"], "b": second_bias(cell, p)},
        }
    if isinstance(cell, LSTM):
        w = namespace(p["wx"]).concatenate([p["wx"], p["wh"]])
        b = _add_to_f(p["b"], cell.gate_names, -1)
        order = (cell.gate_names, LSTM_ORDER)
        return {f"{name}/linear": {"w": reorder(w, *order), "b": reorder(b, *order)}}
    return {
        name: {
            theirs: reorder(_turn_z(p[ours], cell.gate_names), cell.gate_names, GRU_ORDER)
            for ours, theirs in (("wx", "w_i"), ("wh", "w_h"), ("b", "b"))
        }
    }


def _check(cell: StandardCell) -> None:
    check_cell(PEER, cell, TWINS)
    check_activation(PEER, cell, ("relu",))


def _inside(cell: StandardCell, weights: Mapping[str, Any], name: str) -> Weights:
    """The arrays of the module of that name, without the name."""
    inside = {
        path.removeprefix(f"{name}/"): leaf
        for path, leaf in flatten(weights).items()
        if path.startswith(f"{name}/")
    }
    if not inside:
        raise UsageError(
            f"name={name!r}: no such module among the weights, only {', '.join(weights)}; "
            f"{describe(cell)} needs one"
        )
    return as_arrays(f"{PEER} {name}", inside)


def _shapes(cell: StandardCell) -> dict[str, tuple[int | None, ...]]:
    hidden, width = cell.hidden, len(cell.gate_names) * cell.hidden
    if isinstance(cell, Elman):
        return {
            "linear/w": (None, hidden),
            "linear/b": (hidden,),
            "linear_1/w": (hidden, hidden),
            "linear_1/b": (hidden,),
        }
    if isinstance(cell, LSTM):
        return {"linear/w": (None, width), "linear/b": (width,)}
    return {"w_i": (None, width), "w_h": (hidden, width), "b": (width,)}


def _lstm_from_haiku(cell: LSTM, arrays: Weights) -> Params:
    w = reorder(arrays["linear/w"], LSTM_ORDER, cell.gate_names)
    features_in = w.shape[0] - cell.hidden
    if features_in <= 0:
        raise UsageError(
            f"{PEER} linear/w is {w.dtype}{list(w.shape)}: {describe(cell)} needs "
            f"[D + {cell.hidden}, {4 * cell.hidden}]"
        )
    b = reorder(arrays["linear/b"], LSTM_ORDER, cell.gate_names)
    return {"wx": w[:features_in], "wh": w[features_in:], "b": _add_to_f(b, cell.gate_names, 1)}


def _add_to_f(b: Any, order: tuple[str, ...], number: int) -> Any:
    parts = split(b, order)
    parts["f"] = parts["f"] + number
    return namespace(b).concatenate([parts[gate] for gate in order])


def _turn_z(array: Any, order: tuple[str, ...]) -> Any:
    parts = split(array, order)
    parts["z"] = -parts["z"]
    return namespace(array).concatenate([parts[gate] for gate in order], axis=-1)
