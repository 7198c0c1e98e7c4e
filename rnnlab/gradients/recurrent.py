"""The recurrent matrices as they are: spectral radius and singular values, gate by gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab import initializers
from rnnlab.arrays import Array, Float, Input, Key, Output, Params, State
from rnnlab.cells.base import StandardCell
from rnnlab.combinators import Bidirectional, Residual, Stack
from rnnlab.combinators.wrapper import CellWrapper
from rnnlab.errors import UsageError
from rnnlab.gradients.step_halves import check_finite
from rnnlab.initializers import Initializer
from rnnlab.layer import Cell, Layer
from rnnlab.tracing import TracedStep


class RecurrentMatrix(NamedTuple):
    """Measurements of one square block `[..., H, H]` of `wh`.

    Attributes:
      spectral_radius: ρ, the largest absolute value of an eigenvalue, `[...]`.
      sigma_max: σ_max, the largest singular value, `[...]`.
      singular_values: all of them, in descending order, `[..., H]`.
    """

    spectral_radius: Float[Array, "..."]
    sigma_max: Float[Array, "..."]
    singular_values: Float[Array, "... H"]


class RecurrentLeaves(NamedTuple):
    """Where the recurrent matrices are in the parameters of a cell.

    Attributes:
      places: of the leaves `[H, kH]`, k square gate blocks each, in the order of the tree.
      gates: a name for each gate block of all these leaves.
    """

    places: tuple[int, ...]
    gates: tuple[str, ...]

    def get(self, params: Params) -> tuple[Float[Array, "H k*H"], ...]:
        """The leaves."""
        leaves = jax.tree.leaves(params)
        return tuple(leaves[place] for place in self.places)

    def replace(self, params: Params, values: Sequence[Array]) -> Params:
        """The parameters with other leaves there."""
        leaves, tree = jax.tree.flatten(params)
        for place, value in zip(self.places, values, strict=True):
            leaves[place] = value
        return jax.tree.unflatten(tree, leaves)


@lru_cache(maxsize=256)
def recurrent_leaves(cell: Cell) -> RecurrentLeaves:
    """Finds the recurrent matrices of a cell.

    For the cells here that is `wh`, with the names of its gates. For any other cell they are the
    parameters of which the weights of its products with the state are made, as far as they are
    square blocks side by side; gate blocks are named after the parameter.
    """
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), 1, jnp.float32))
    paths = [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for path, _ in jax.tree_util.tree_leaves_with_path(params)
    ]
    inside = cell.standard if isinstance(cell, CellWrapper) else cell
    if isinstance(inside, StandardCell):
        if "wh" not in paths:
            return RecurrentLeaves((), ())
        return RecurrentLeaves((paths.index("wh"),), inside.recurrent_gate_names)
    state = jax.eval_shape(lambda: cell.initial_state((), jnp.float32))
    step = TracedStep(cell, params, jax.ShapeDtypeStruct((1,), jnp.float32), state)
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    square = [i for i in step.recurrent_leaves() if _are_square_blocks(shapes[i])]
    gates = []
    for place in square:
        count = shapes[place][1] // shapes[place][0]
        more = [f"{paths[place]}.{gate}" for gate in range(count)]
        gates += [paths[place]] if count == 1 else more
    return RecurrentLeaves(tuple(square), tuple(gates))


def _are_square_blocks(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] > 0 and shape[1] > 0 and shape[1] % shape[0] == 0


@dataclasses.dataclass(frozen=True)
class _Redrawn:
    """A cell whose recurrent matrices are drawn by `wh_init`, gate by gate."""

    cell: Cell
    wh_init: Initializer

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the cell's parameters, and its recurrent matrices once more."""
        params = self.cell.init(key, features_in, dtype)
        leaves = recurrent_leaves(self.cell)
        drawn = [
            initializers.GateBlocks(self.wh_init)(jax.random.fold_in(key, i), w.shape, w.dtype)
            for i, w in enumerate(leaves.get(params))
        ]
        return leaves.replace(params, drawn)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The cell's initial state."""
        return self.cell.initial_state(batch_shape, dtype)

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Output]:
        """The cell's step."""
        return self.cell.step(params, x, state)


def with_recurrent_init(cell: Cell, wh_init: Initializer) -> Cell:
    """The cell with recurrent matrices that are drawn by `wh_init`, gate by gate.

    For the cells here that is their field `wh_init`. In any other cell the matrices that
    `recurrent_leaves` finds are drawn again.
    """
    if isinstance(cell, StandardCell):
        return dataclasses.replace(cell, wh_init=wh_init)
    return _Redrawn(cell, wh_init)


def recurrent_matrices(cell: Layer, params: Params) -> dict[str, RecurrentMatrix]:
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


def _measure(cell: Layer, params: Params, prefix: str) -> dict[str, RecurrentMatrix]:
    if isinstance(cell, Residual):
        return _measure(cell.layer, params, prefix)
    if isinstance(cell, Stack):
        layers = {str(i): (layer, params[i]) for i, layer in enumerate(cell.layers)}
    elif isinstance(cell, Bidirectional):
        layers = {
            "forward": (cell.forward, params["forward"]),
            "backward": (cell.backward, params["backward"]),
        }
    else:
        assert isinstance(cell, Cell)
        return _measure_cell(cell, params, prefix)
    found = {}
    for name, (layer, layer_params) in layers.items():
        found |= _measure(layer, layer_params, f"{prefix}{name}.")
    return found


def _measure_cell(cell: Cell, params: Params, prefix: str) -> dict[str, RecurrentMatrix]:
    found = recurrent_leaves(cell)
    blocks = [initializers.gate_blocks(leaf) for leaf in found.get(params)]
    if sum(leaf.shape[-3] for leaf in blocks) != len(found.gates):
        raise UsageError(
            f"params have {sum(leaf.shape[-3] for leaf in blocks)} recurrent gate blocks: "
            f"{type(cell).__name__} needs one for each of {', '.join(found.gates)}"
        )
    if not blocks:
        return {}
    every = jnp.concatenate(blocks, axis=-3)
    radius, sigma = initializers.spectral_radius(every), initializers.singular_values(every)
    return {
        prefix + name: RecurrentMatrix(radius[..., i], sigma[..., i, 0], sigma[..., i, :])
        for i, name in enumerate(found.gates)
    }
