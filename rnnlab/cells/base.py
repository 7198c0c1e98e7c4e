"""What the cells here share: weights by gate, zero initial states, checks of hyperparameters.

A cell is three pure methods, `init`, `initial_state` and `step` (`rnnlab.layer.Cell`). The cells of
the library are frozen dataclasses that inherit the first two from `StandardCell`. Its weights of
all gates are side by side, one gate block of `H` columns for each, and a step forms

    z = x @ wx + b + h @ wh

gate by gate (`affine`): where gates are slices of one wide product, the forward pass of LSTM and
GRU takes XLA:CPU about twice as long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab import initializers
from rnnlab.arrays import Array, Hidden, Input, Key, Output, Params, State
from rnnlab.errors import UsageError
from rnnlab.sizes import check_positive

Initializer = Callable[..., Array]

#: Elementwise activations by the name that flags and fields use.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "identity": lambda z: z,
}


class HiddenState(NamedTuple):
    """State of a cell whose memory is its output: `h [..., H]`."""

    h: Hidden


class CarouselState(NamedTuple):
    """State of the LSTM family: output `h [..., H]` and cell `c [..., H]`."""

    h: Hidden
    c: Hidden


@dataclasses.dataclass(frozen=True)
class StandardCell:
    """A cell with `hidden` units, dense weights and an initial state of zero.

    Attributes:
      hidden: number of units `H`.
      wx_init: initialiser of the input weights `wx [D, kH]`, or its name.
      wh_init: initialiser of the recurrent weights `wh [H, kH]`, applied gate by gate, or its name.
    """

    hidden: int
    wx_init: Initializer | str = dataclasses.field(default=initializers.Gaussian(), kw_only=True)
    wh_init: Initializer | str = dataclasses.field(default=initializers.Orthogonal(), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", check_positive("hidden", self.hidden))
        own_initializers(self, "wx_init", "wh_init")

    @property
    def features_out(self) -> int:
        """Number of features of the output `y`."""
        return self.hidden

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of the gate blocks, `H` columns each, of `wx`, `wh` and `b`, in their order."""
        return ("h",)

    @property
    def recurrent_gate_names(self) -> tuple[str, ...]:
        """Names of the gate blocks of `wh`, where a cell has not all of them there."""
        return self.gate_names

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `{"wx": [D, kH], "wh": [H, kH], "b": [kH]}` for `D = features_in` inputs."""
        check_positive("features_in", features_in)
        key_wx, key_wh = jax.random.split(key)
        width = len(self.gate_names) * self.hidden
        return {
            "wx": self.draw_wx(key_wx, (features_in, width), dtype),
            "wh": initializers.GateBlocks(self.wh_init)(key_wh, (self.hidden, width), dtype),
            "b": jnp.zeros((width,), dtype),
        }

    def draw_wx(self, key: Key, shape: tuple[int, int], dtype: DTypeLike) -> Array:
        """A matrix of that shape that meets the input, drawn by `wx_init`."""
        return initializers.as_initializer("wx_init", self.wx_init)(key, shape, dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The state before the first step: zeros, each part `[*batch_shape, H]`."""
        return HiddenState(jnp.zeros((*batch_shape, self.hidden), dtype))

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Output]:
        """One step: the next state and the output."""
        raise UsageError(f"cell={type(self).__name__}: defines no `step`")

    def affine(self, params: Params, x: Input, h: Hidden) -> tuple[Array, ...]:
        """`x @ wx + b + h @ wh`, a `[..., H]` for each gate."""
        return add(self.affine_input(params, x), times(h, params["wh"], len(self.gate_names)))

    def affine_input(self, params: Params, x: Input) -> tuple[Array, ...]:
        """`x @ wx + b`, a `[..., H]` for each gate."""
        count = len(self.gate_names)
        return add(times(x, params["wx"], count), by_gate(params["b"], count))


def own_initializers(cell: StandardCell, *names: str) -> None:
    """Puts initialisers in the place of their names in the fields `names` of a new cell."""
    for name in names:
        value = initializers.as_initializer(name, getattr(cell, name))
        object.__setattr__(cell, name, value)


def by_gate(a: Array, count: int) -> tuple[Array, ...]:
    """The gate blocks of `a [..., count H]`."""
    return tuple(jnp.split(a, count, axis=-1))


def times(x: Array, w: Array, count: int) -> tuple[Array, ...]:
    """`x @ w` for `w [·, count H]`, one product for each gate."""
    return tuple(x @ block for block in by_gate(w, count))


def add(u: tuple[Array, ...], v: tuple[Array, ...]) -> tuple[Array, ...]:
    """`u + v`, gate by gate."""
    return tuple(a + b for a, b in zip(u, v, strict=True))


def gate_slice(cell: StandardCell, name: str) -> slice:
    """The columns of gate `name` in `wx`, `wh` and `b`."""
    index = cell.gate_names.index(name)
    return slice(index * cell.hidden, (index + 1) * cell.hidden)


def set_gate(cell: StandardCell, b: Array, name: str, value: Any) -> Array:
    """A copy of the bias `b [kH]` whose gate `name` is `value` (a number or `[H]`)."""
    return b.at[gate_slice(cell, name)].set(jnp.asarray(value, b.dtype))


def activation_by_name(name: str) -> Callable[[Array], Array]:
    """The activation called `name`; UsageError lists the known ones."""
    if name not in ACTIVATIONS:
        raise UsageError(f"activation={name!r}: unknown, choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
