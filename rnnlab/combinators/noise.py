"""Noise for training: dropout between layers, dropout of the recurrence, and zoneout.

All draw only where `unroll` gets a `key`, and keep the expectation: dropout divides what it keeps
by `1 - rate`, zoneout evaluates with the mean.
"""

from __future__ import annotations

import dataclasses
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Inputs, Key, Outputs, Params, State
from rnnlab.combinators.wrapper import CellWrapper, Noisy
from rnnlab.errors import UsageError
from rnnlab.layer import Arrangement, Layer, Run


@dataclasses.dataclass(frozen=True)
class Dropout(Arrangement):
    """A layer without state that zeroes its inputs at random, every step and feature by itself.

    Between recurrent layers it leaves the recurrence alone: W. Zaremba, I. Sutskever and
    O. Vinyals, "Recurrent neural network regularization" (2014), section 3.2.

    Attributes:
      rate: probability with which an input is zeroed, in [0, 1).
    """

    rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate("rate", self.rate))

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """No parameters."""
        del key, features_in, dtype
        return {}

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> tuple[()]:
        """No state."""
        del batch_shape, dtype
        return ()

    @property
    def layers_inside(self) -> tuple[Layer, ...]:
        """None."""
        return ()

    @property
    def features_out(self) -> None:
        """As many as there are inputs."""
        return None

    def compose(
        self,
        run: Run,
        params: Params,
        xs: Inputs,
        state: tuple[()],
        reverse: bool,
        key: Key | None,
    ) -> tuple[tuple[()], Outputs]:
        """`xs` with the noise of `key`."""
        del run, params, reverse
        if key is None:
            return state, xs
        return state, xs * dropout_mask(key, self.rate, xs.shape, xs.dtype)

    def step(self, params: Params, x: Array, state: tuple[()]) -> tuple[tuple[()], Array]:
        """`x` as it is: one step for streaming evaluates."""
        del params
        return state, x


@dataclasses.dataclass(frozen=True)
class VariationalDropout(CellWrapper):
    """Dropout of a cell's inputs and of its recurrence, with the same masks at every step.

    `x` becomes `m_x * x`, and the `h` that enters the matrix products becomes `m_h * h`, where each
    unit of `m` is 0 with probability `rate`, else `1 / (1 - rate)`. What the cell carries over
    elementwise (`c`, the `z * h` of a GRU) is not dropped. Each row of the batch has masks of its
    own, which its sequences share where there are resets.

    Source: Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
    neural networks" (2016), section 4.2, equation 8 (one mask for all gates).

    Attributes:
      cell: a cell whose parameters are a dict and whose state has an `h`.
      input_rate: rate for `x`, in [0, 1).
      state_rate: rate for `h`, in [0, 1).
    """

    input_rate: float
    state_rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "input_rate", check_rate("input_rate", self.input_rate))
        object.__setattr__(self, "state_rate", check_rate("state_rate", self.state_rate))

    @property
    def per_row(self) -> tuple[str, ...]:
        """The cell's, and the mask of `h`."""
        return (*super().per_row, "h_mask")

    def randomise(self, key: Key, params: Params, xs: Inputs) -> tuple[Params, Any]:
        """Multiplies `xs [T, *batch, D]` by its mask and puts that of `h` among the parameters."""
        key_x, key_h, key_cell = jax.random.split(key, 3)
        x_mask = dropout_mask(key_x, self.input_rate, xs.shape[1:], xs.dtype)
        shape = (*xs.shape[1:-1], self.hidden)
        h_mask = dropout_mask(key_h, self.state_rate, shape, xs.dtype)
        params, noisy = super().randomise(key_cell, params, xs * x_mask)
        return params | {"h_mask": h_mask}, noisy

    def step(self, params: Params, x: Any, state: State) -> tuple[State, Array]:
        """The cell's step, whose products take the masked `h`."""
        if "h_mask" not in params:
            return self.cell.step(params, x, state)
        inside = {name: value for name, value in params.items() if name != "h_mask"}
        masked = state._replace(h=state.h * params["h_mask"])
        step = self.traced(inside, x, state)
        return step.with_products(lambda place, product: product, inside, x, state, masked)


@dataclasses.dataclass(frozen=True)
class Zoneout(CellWrapper):
    """Units that at random keep their old value, every step and unit by itself.

        h' = d_h * h + (1 - d_h) * h̃,  c' = d_c * c + (1 - d_c) * c̃,  y = h'

    where `h̃, c̃` is what the cell would have made of the step and `d` is 1 with probability `rate`.
    Without noise `d` is that probability itself. Other parts of the state are not zoned out.

    Source: D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden
    activations" (2017), section 3.3.

    Attributes:
      cell: a cell whose state is a NamedTuple with an `h`, its output.
      rate: probability that a unit of `h` keeps its value, in [0, 1).
      cell_rate: the same for `c`; None takes `rate`.
    """

    rate: float
    cell_rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "rate", check_rate("rate", self.rate))
        if self.cell_rate is not None:
            object.__setattr__(self, "cell_rate", check_rate("cell_rate", self.cell_rate))

    @property
    def rates(self) -> dict[str, float]:
        """The rate of each part of the state that is zoned out."""
        rates = {"h": self.rate, "c": self.rate if self.cell_rate is None else self.cell_rate}
        parts = self.initial_state()._fields
        return {name: rate for name, rate in rates.items() if name in parts}

    def randomise(self, key: Key, params: Params, xs: Inputs) -> tuple[Params, Any]:
        """Draws `d [T, *batch, H]` for each part of the state."""
        key_cell, *keys = jax.random.split(key, 1 + len(self.rates))
        params, noisy = super().randomise(key_cell, params, xs)
        shape = (*xs.shape[:-1], self.hidden)
        noise = {
            name: jax.random.bernoulli(part_key, rate, shape).astype(xs.dtype)
            for part_key, (name, rate) in zip(keys, self.rates.items(), strict=True)
        }
        return params, Noisy(noisy, noise)

    def step(self, params: Params, x: Any, state: State) -> tuple[State, Array]:
        """The mixture of the old state and that which the cell makes."""
        x, keep = (x.value, x.noise) if isinstance(x, Noisy) else (x, self.rates)
        after, _ = self.cell.step(params, x, state)
        parts = {
            name: d * getattr(state, name) + (1 - d) * getattr(after, name)
            for name, d in keep.items()
        }
        after = after._replace(**parts)
        return after, after.h


def dropout_mask(key: Key, rate: float, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """0 with probability `rate`, else `1 / (1 - rate)`."""
    keep = jax.random.bernoulli(key, 1 - rate, shape)
    return keep.astype(dtype) / (1 - rate)


def check_rate(name: str, value: Any) -> float:
    """The value as a Python float; UsageError unless it is a probability below one."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise UsageError(f"{name}={value!r}: must be a probability in [0, 1)")
    return float(value)
