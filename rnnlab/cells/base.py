"""What a recurrent cell is: a frozen set of hyperparameters whose methods are pure functions.

A cell maps the state `s` and an input `x` to the next state and an output `y`. It is split by what
depends on the state, because that split is what lets one engine run every cell in several ways:

    u = project(params, x)              no state: a matrix product for all steps at once
    v = recur(params, s)                the matrix product with the state, inside the scan
    s', y = gate(params, u, v, s)       elementwise, so that its derivative is cheap

`u` and `v` are tuples with an array `[..., H]` for each gate: where they are slices of one wide
array, the forward pass of LSTM and GRU takes XLA:CPU about twice as long.

`step` puts the three together. A cell whose reset gate acts before the product (`reset_first`)
has a second product: `operand` is what enters it, `recur_operand` is the product, and `gate`
receives the pair `(v, w)`. A cell may also override `step` alone; strategies that need the split
then refuse it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab import initializers
from rnnlab.errors import UsageError

Array = jax.Array
Params = dict[str, Any]
State = Any
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

    h: Array


class CarouselState(NamedTuple):
    """State of the LSTM family: output `h [..., H]` and cell `c [..., H]`."""

    h: Array
    c: Array


@dataclasses.dataclass(frozen=True)
class Cell:
    """A recurrent cell with `hidden` units.

    Attributes:
      hidden: number of units `H`.
      wx_init: initialiser of the input weights `wx [D, kH]`.
      wh_init: initialiser of the recurrent weights `wh [H, kH]`, applied block by block.
    """

    hidden: int
    wx_init: Initializer = dataclasses.field(default=initializers.Gaussian(), kw_only=True)
    wh_init: Initializer = dataclasses.field(default=initializers.Orthogonal(), kw_only=True)

    #: Whether a second product follows the reset gate; see the module's docstring.
    reset_first: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive("hidden", self.hidden)

    @property
    def features_out(self) -> int:
        """Number of features of the output `y`."""
        return self.hidden

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the `H`-wide column blocks of `wx`, `wh` and `b`, in their order."""
        return ("h",)

    @property
    def recurrent_blocks(self) -> tuple[str, ...]:
        """Names of the column blocks of `wh`, where a cell has not all of them there."""
        return self.blocks

    @property
    def per_row(self) -> tuple[str, ...]:
        """Names of parameters that `randomise` adds with a value for each row, `[*batch, ...]`."""
        return ()

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `{"wx": [D, kH], "wh": [H, kH], "b": [kH]}` for `D = features_in` inputs."""
        check_positive("features_in", features_in)
        key_wx, key_wh = jax.random.split(key)
        width = len(self.blocks) * self.hidden
        return {
            "wx": self.wx_init(key_wx, (features_in, width), dtype),
            "wh": initializers.Blocks(self.wh_init)(key_wh, (self.hidden, width), dtype),
            "b": jnp.zeros((width,), dtype),
        }

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The state before the first step: zeros, each part `[*batch_shape, H]`."""
        return HiddenState(jnp.zeros((*batch_shape, self.hidden), dtype))

    def project(self, params: Params, x: Array) -> Any:
        """`u = x @ wx + b` for `x [..., D]`; any leading axes, so time may be one of them."""
        return add(times(x, params["wx"], len(self.blocks)), by_gate(params["b"], len(self.blocks)))

    def recur(self, params: Params, state: State) -> Any:
        """`v = h @ wh`, the product with the state."""
        return times(state.h, params["wh"], len(self.recurrent_blocks))

    def step(self, params: Params, u: Any, state: State) -> tuple[State, Array]:
        """One step from the projected input `u`: returns the next state and the output `y`."""
        return self.gate(params, u, self.products(params, u, state), state)

    def products(self, params: Params, u: Any, state: State) -> Any:
        """What `gate` receives as `v`: the product with the state, or the pair `(v, w)`."""
        v = self.recur(params, state)
        if self.reset_first:
            v = (v, self.recur_operand(params, self.operand(params, u, v, state)))
        return v

    def gate(self, params: Params, u: Any, v: Any, state: State) -> tuple[State, Array]:
        """The elementwise rest of the step."""
        raise UsageError(
            f"cell={type(self).__name__}: defines no `gate`, override `gate` or `step`"
        )

    def operand(self, params: Params, u: Any, v: Any, state: State) -> Array:
        """What enters the second product of a `reset_first` cell, elementwise: `r * h`."""
        raise UsageError(f"cell={type(self).__name__}: has no second product (reset_first=False)")

    def recur_operand(self, params: Params, operand: Array) -> Array:
        """The second product of a `reset_first` cell, linear in `operand`."""
        raise UsageError(f"cell={type(self).__name__}: has no second product (reset_first=False)")

    def randomise(self, key: Array, params: Params, xs: Any) -> tuple[Params, Any]:
        """Draws the noise of one unroll over `xs [T, ..., D]`; a deterministic cell draws none."""
        del key
        return params, xs

    @property
    def is_split(self) -> bool:
        """Whether `step` is the composition of `recur` and `gate`."""
        return type(self).step is Cell.step


@dataclasses.dataclass(frozen=True)
class GatedCell(Cell):
    """A cell that is an activation of `u + v` for each gate, then arithmetic (`update`)."""

    @property
    def gates(self) -> dict[str, Callable[[Array], Array]]:
        """Name and activation of each gate, in the order of the column blocks."""
        raise UsageError(f"cell={type(self).__name__}: defines no `gates`")

    @property
    def blocks(self) -> tuple[str, ...]:
        return tuple(self.gates)

    def update(self, gates: tuple[Array, ...], state: State) -> tuple[State, Array]:
        """The new state and the output from the activated gates, in the order of `gates`."""
        raise UsageError(f"cell={type(self).__name__}: defines no `update`")

    def gate(self, params: Params, u: Any, v: Any, state: State) -> tuple[State, Array]:
        del params
        parts = zip(self.gates.values(), u, v, strict=True)
        return self.update(tuple(activate(a + b) for activate, a, b in parts), state)


def by_gate(a: Array, count: int) -> tuple[Array, ...]:
    """The column blocks of `a [..., count H]`, one for each gate."""
    return tuple(jnp.split(a, count, axis=-1))


def times(x: Array, w: Array, count: int) -> tuple[Array, ...]:
    """`x @ w` for `w [·, count H]`, one product for each gate."""
    return tuple(x @ block for block in by_gate(w, count))


def add(u: tuple[Array, ...], v: tuple[Array, ...]) -> tuple[Array, ...]:
    """`u + v`, gate by gate."""
    return tuple(a + b for a, b in zip(u, v, strict=True))


def block_slice(cell: Cell, name: str) -> slice:
    """The columns of gate `name` in `wx`, `wh` and `b`."""
    index = cell.blocks.index(name)
    return slice(index * cell.hidden, (index + 1) * cell.hidden)


def set_block(cell: Cell, b: Array, name: str, value: Any) -> Array:
    """A copy of the bias `b [kH]` whose gate `name` is `value` (a number or `[H]`)."""
    return b.at[block_slice(cell, name)].set(jnp.asarray(value, b.dtype))


def check_positive(name: str, value: Any) -> None:
    """Raises UsageError unless `value` is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise UsageError(f"{name}={value!r}: must be a positive integer")


def activation_by_name(name: str) -> Callable[[Array], Array]:
    """The activation called `name`; UsageError lists the known ones."""
    if name not in ACTIVATIONS:
        raise UsageError(f"activation={name!r}: unknown, choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
