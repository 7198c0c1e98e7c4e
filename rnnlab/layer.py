"""What `unroll` runs: a cell, or an arrangement of layers.

A `Cell` is three pure methods. An `Arrangement` says how several layers follow one another, and
unrolls each over the whole sequence. A cell that draws noise before the unroll inherits from
`NoisyCell`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Input, Inputs, Key, Output, Outputs, Params, State


class Layer(Protocol):
    """A cell or an arrangement: hashable, with parameters and a state."""

    def init(self, key: Key, features_in: int, dtype: DTypeLike = ...) -> Params:
        """Draws the parameters for `D = features_in` input features."""
        ...

    def initial_state(self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = ...) -> State:
        """The state before the first step, leaves `[*batch_shape, ...]`."""
        ...


@runtime_checkable
class Cell(Layer, Protocol):
    """A recurrent cell: three pure methods of a hashable object, such as a frozen dataclass.

    `step` may use any operation of JAX and any number of leading axes. The engine traces it once
    to find what depends on `x` alone (computed for all steps in one product), which products meet
    the state, and what is elementwise.
    """

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Output]:
        """One step from the input `x [*batch, D]`: the next state and the output `[*batch, H]`."""
        ...


@runtime_checkable
class SizedLayer(Protocol):
    """A layer that says itself how wide its output is."""

    @property
    def features_out(self) -> int | None:
        """Number of features of the output; None where it is that of the input."""
        ...


class NoisyCell:
    """Base of a cell that draws noise once for each unroll, such as dropout of its recurrence."""

    @property
    def per_row(self) -> tuple[str, ...]:
        """Names of parameters that `randomise` adds with a value for each row, `[*batch, ...]`."""
        return ()

    def randomise(self, key: Key, params: Params, xs: Inputs) -> tuple[Params, Any]:
        """Draws the noise of one unroll over `xs [T, *batch, D]`: parameters and inputs with it."""
        del key
        return params, xs


class Run(Protocol):
    """How `unroll` runs the layers of one call, under its strategy, lengths and resets."""

    def __call__(
        self,
        layer: Layer,
        params: Params,
        xs: Inputs,
        state: State,
        reverse: bool,
        key: Key | None,
    ) -> tuple[State, Outputs]:
        """Unrolls a layer: returns its final state and outputs."""
        ...

    def pair(
        self,
        cell: Cell,
        params: tuple[Params, Params],
        xs: Inputs,
        states: tuple[State, State],
        reverse: bool,
        keys: Any,
    ) -> tuple[tuple[State, State], tuple[Outputs, Outputs]]:
        """Unrolls a cell in both directions, with parameters of its own for each."""
        ...


class Arrangement(Layer):
    """Base of a layer that is made of layers; `unroll` runs it by `compose`."""

    @property
    def layers_inside(self) -> tuple[Layer, ...]:
        """The layers it is made of."""
        raise NotImplementedError

    @property
    def features_out(self) -> int | None:
        """Number of features of the output; None where it is that of the input."""
        raise NotImplementedError

    def compose(
        self,
        run: Run,
        params: Params,
        xs: Inputs,
        state: State,
        reverse: bool,
        key: Key | None,
    ) -> tuple[State, Outputs]:
        """Unrolls the layers, each by `run`; returns the final state and the outputs."""
        raise NotImplementedError

    @property
    def streams(self) -> bool:
        """Whether `step` exists: every layer inside has one."""
        return all(streams(layer) for layer in self.layers_inside)


def streams(layer: Layer) -> bool:
    """Whether a layer has a state of one time, and so a step: all but bidirectional ones."""
    return layer.streams if isinstance(layer, Arrangement) else isinstance(layer, Cell)


def cells_of(layer: Layer) -> tuple[Cell, ...]:
    """The cells that a layer is made of."""
    if isinstance(layer, Arrangement):
        return tuple(cell for part in layer.layers_inside for cell in cells_of(part))
    return (layer,) if isinstance(layer, Cell) else ()


def output_size(layer: Layer) -> int | None:
    """Number of features of a layer's output; None where it is that of its input."""
    if isinstance(layer, SizedLayer):
        return layer.features_out
    assert isinstance(layer, Cell)
    return _step_size(layer)


@lru_cache(maxsize=256)
def _step_size(cell: Cell) -> int:
    def step() -> Array:
        params = cell.init(jax.random.key(0), 1, jnp.float32)
        return cell.step(params, jnp.zeros((1,), jnp.float32), cell.initial_state((), jnp.float32))[
            1
        ]

    return jax.eval_shape(step).shape[-1]
