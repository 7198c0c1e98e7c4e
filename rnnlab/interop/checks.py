"""What every conversion checks: the cell, the names, shapes and dtypes of weights.

Weights are what a library returns: arrays, or tensors that know their NumPy form. JAX arrays stay
JAX arrays, also while they are traced, so that a conversion can be differentiated; everything else
becomes NumPy. The dtype is kept. Arrays that could be shared are copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from rnnlab.arrays import Params
from rnnlab.cells import GRU, Elman
from rnnlab.cells.base import StandardCell
from rnnlab.errors import UsageError
from rnnlab.layer import Layer

Weights = dict[str, Any]


def namespace(array: Any) -> ModuleType:
    """`jax.numpy` for a JAX array, else `numpy`."""
    return jnp if isinstance(array, jax.Array) else np


def describe(cell: Layer) -> str:
    """A cell in words: its kind, size, and its gates in their order or its activation."""
    if not isinstance(cell, StandardCell):
        return type(cell).__name__
    detail = f"gates {', '.join(cell.gate_names)}" if len(cell.gate_names) > 1 else ""
    detail = cell.activation if isinstance(cell, Elman) else detail
    return f"{type(cell).__name__}({cell.hidden})" + (f" ({detail})" if detail else "")


def check_cell(peer: str, cell: Layer, twins: Mapping[type, str]) -> None:
    """Raises UsageError unless `twins` has the cell's type, with the name of what equals it."""
    if type(cell) not in twins:
        known = ", ".join(f"{kind.__name__} ({twin})" for kind, twin in twins.items())
        raise UsageError(f"cell={describe(cell)}: has no equal in {peer}, only {known}")


def check_twin(peer: str, cell: StandardCell, found: str, wanted: str) -> None:
    """Raises UsageError unless the peer's module is of the kind that equals `cell`."""
    if found != wanted:
        raise UsageError(f"weights are of {peer}'s {found}: {describe(cell)} equals {wanted}")


def check_activation(peer: str, cell: StandardCell, allowed: Iterable[str]) -> None:
    """Raises UsageError where the peer has fixed activations and the cell has another."""
    if isinstance(cell, Elman) and cell.activation not in (allowed := tuple(allowed)):
        raise UsageError(f"activation={cell.activation!r}: {peer} has {' and '.join(allowed)} only")


def as_arrays(owner: str, weights: Mapping[str, Any]) -> Weights:
    """The weights as arrays of one floating dtype; UsageError where they are not."""
    arrays = {name: _as_array(f"{owner} {name}", value) for name, value in weights.items()}
    if any(isinstance(array, jax.Array) for array in arrays.values()):
        arrays = {name: jnp.asarray(array) for name, array in arrays.items()}
    first = next(iter(arrays), "")
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise UsageError(f"{owner} {name} is {array.dtype}: weights must be floating")
        if array.dtype != arrays[first].dtype:
            raise UsageError(
                f"{owner} {name} is {array.dtype} and {first} is {arrays[first].dtype}: all "
                "weights must have one dtype"
            )
    return arrays


def _as_array(name: str, value: Any) -> Any:
    """A copy: what the owner of the weights does to them later, or we, stays on its own side."""
    if isinstance(value, Tracer):
        return value
    if isinstance(value, jax.Array):  # it may share memory too, or be donated
        return jnp.array(value)
    if hasattr(value, "detach"):  # a tensor of PyTorch, which need not be installed
        try:
            return value.detach().cpu().numpy().copy()
        except TypeError as error:
            raise UsageError(
                f"{name} is {value.dtype}: NumPy has no such type, convert with .float()"
            ) from error
    return np.array(value)


def check_names(
    owner: str, cell: StandardCell, given: Iterable[str], needed: Iterable[str]
) -> None:
    """Raises UsageError unless the weights are those that are needed, no more and no less."""
    given, needed = list(given), list(needed)
    missing = [name for name in needed if name not in given]
    surplus = [name for name in given if name not in needed]
    if missing or surplus:
        found = [f"lack {', '.join(missing)}"] if missing else []
        found += [f"have {', '.join(surplus[:8])}{', ...' * (len(surplus) > 8)}"] if surplus else []
        raise UsageError(
            f"{owner} weights {' and '.join(found)}: {describe(cell)} needs {', '.join(needed)}"
        )


def check_shape(name: str, array: Any, cell: StandardCell, shape: tuple[int | None, ...]) -> None:
    """Raises UsageError unless the array has that shape; None is the free size `D`."""
    fits = len(array.shape) == len(shape) and all(
        want in (None, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("D" if size is None else str(size) for size in shape)
        raise UsageError(
            f"{name} is {array.dtype}{list(array.shape)}: {describe(cell)} needs [{wanted}]"
        )


def check_params(cell: StandardCell, params: Params, features_in: int | None = None) -> Weights:
    """The parameters of one cell as arrays; UsageError unless they have its names and shapes."""
    if not isinstance(params, Mapping):
        raise UsageError(f"params is {type(params).__name__}: {describe(cell)} needs a dict")
    width = len(cell.gate_names) * cell.hidden
    shapes = {"wx": (features_in, width), "wh": (cell.hidden, width), "b": (width,)}
    if isinstance(cell, GRU):
        shapes["bh"] = (cell.hidden,)
    check_names("rnnlab", cell, params, shapes)
    arrays = as_arrays("rnnlab", params)
    for name, shape in shapes.items():
        check_shape(f"params[{name!r}]", arrays[name], cell, shape)
    return arrays


def flatten(tree: Any, path: str = "") -> Weights:
    """Nested mappings as one, with names like `hi/kernel`."""
    if not isinstance(tree, Mapping):
        return {path: tree}
    flat: Weights = {}
    for name, branch in tree.items():
        flat |= flatten(branch, f"{path}/{name}" if path else str(name))
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested dicts whose flat form has names like `hi/kernel`."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *branches, leaf = path.split("/")
        node = tree
        for branch in branches:
            node = node.setdefault(branch, {})
        node[leaf] = value
    return tree
