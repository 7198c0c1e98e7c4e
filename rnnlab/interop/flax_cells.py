"""Cells of Flax as cells of rnnlab, run by `unroll`.

Their step is one function, not split into `project / recur / gate`, so that wrappers of a single
cell refuse them. All strategies but `cudnn` run them; `hoisted` finds the products in the step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.cells.base import Array, Cell, Initializer, Params, State
from rnnlab.errors import UsageError


@dataclasses.dataclass(frozen=True)
class _FlaxCell(Cell):
    """What both have in common: the number of units is the module's, and so are the draws."""

    hidden: int = dataclasses.field(init=False)
    wx_init: Initializer = dataclasses.field(init=False, repr=False, compare=False)
    wh_init: Initializer = dataclasses.field(init=False, repr=False, compare=False)

    def project(self, params: Params, x: Array) -> Array:
        """`x` as it is, as the module multiplies it inside the step."""
        del params
        return x


@dataclasses.dataclass(frozen=True)
class LinenCell(_FlaxCell):
    """A cell of Flax Linen. Parameters are what stands under `"params"`, states the carry.

    Attributes:
      module: a `flax.linen.RNNCellBase` with `features`, such as `nn.LSTMCell(64)`.
    """

    module: Any

    def __post_init__(self) -> None:
        if not hasattr(self.module, "features") or not hasattr(self.module, "apply"):
            raise UsageError(
                f"module={self.module!r}: must be a cell of Flax Linen with `features`"
            )
        object.__setattr__(self, "hidden", self.module.features)
        super().__post_init__()

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the module's parameters."""
        carry = self.initial_state((), dtype)
        variables = self.module.init(key, carry, jnp.zeros((features_in,), dtype))
        return _cast(variables["params"], dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The module's initial carry, by the same key each time where it is random."""
        shape = (*batch_shape, self.hidden)
        return _cast(self.module.initialize_carry(jax.random.key(0), shape), dtype)

    def step(self, params: Params, u: Array, state: State) -> tuple[State, Array]:
        """Applies the module to the input `u`."""
        return self.module.apply({"params": params}, state, u)


@dataclasses.dataclass(frozen=True)
class NNXCell(_FlaxCell):
    """A cell of Flax NNX. Parameters are its `nnx.Param`s as a dict, states the carry.

    Those of a module at hand are `nnx.to_pure_dict(nnx.state(module, nnx.Param))`.

    Attributes:
      make: makes the module, called as `make(in_features, rngs=rngs)`; for example
        `functools.partial(nnx.LSTMCell, hidden_features=64)`.
    """

    make: Callable[..., Any]

    def __post_init__(self) -> None:
        module = self._abstract(1)
        if not hasattr(module, "hidden_features"):
            raise UsageError(
                f"make={self.make!r}: must make a cell of Flax NNX with `hidden_features`"
            )
        object.__setattr__(self, "hidden", module.hidden_features)
        super().__post_init__()

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the module's parameters."""
        from flax import nnx

        module = self.make(features_in, rngs=nnx.Rngs(key))
        return _cast(nnx.to_pure_dict(nnx.state(module, nnx.Param)), dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The module's initial carry, by the same key each time where it is random."""
        from flax import nnx

        shape = (*batch_shape, self.hidden)
        return _cast(self._abstract(1).initialize_carry(shape, nnx.Rngs(0)), dtype)

    def step(self, params: Params, u: Array, state: State) -> tuple[State, Array]:
        """Calls the module on the input `u`."""
        from flax import nnx

        module = self._abstract(u.shape[-1])
        nnx.update(module, params)
        return module(state, u)

    def _abstract(self, features_in: int) -> Any:
        """A module without numbers, to be given the parameters."""
        from flax import nnx

        return nnx.eval_shape(lambda: self.make(features_in, rngs=nnx.Rngs(0)))


def _cast(tree: Any, dtype: DTypeLike) -> Any:
    return jax.tree.map(lambda a: a.astype(dtype), tree)
