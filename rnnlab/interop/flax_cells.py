"""Cells of Flax as cells of rnnlab, run by `unroll`.

They have the three methods of a cell and nothing more, which is enough: the engine finds the
products in their step by tracing it. All strategies but `cudnn` run them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Input, Key, Params, State
from rnnlab.errors import UsageError


@dataclasses.dataclass(frozen=True)
class LinenCell:
    """A cell of Flax Linen. Parameters are the entry `"params"` of its variables, states its carry.

    Attributes:
      module: a `flax.linen.RNNCellBase` with `features`, such as `nn.LSTMCell(64)`.
    """

    module: Any

    def __post_init__(self) -> None:
        # By what it has: a class of Flax would have to be imported, which costs a second.
        if not hasattr(self.module, "features") or not hasattr(self.module, "apply"):
            raise UsageError(
                f"module={self.module!r}: must be a cell of Flax Linen with `features`"
            )

    @property
    def hidden(self) -> int:
        """Number of units of the module."""
        return self.module.features

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the module's parameters in its own dtype, and then casts them."""
        own = getattr(self.module, "param_dtype", jnp.float32)
        carry = self.initial_state((), own)
        variables = self.module.init(key, carry, jnp.zeros((features_in,), own))
        return _cast(variables["params"], dtype)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> State:
        """The module's initial carry, by the same key each time where it is random."""
        shape = (*batch_shape, self.hidden)
        return _cast(self.module.initialize_carry(jax.random.key(0), shape), dtype)

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Array]:
        """Applies the module to the input `x`."""
        return _keeping_dtype(self.module, state, self.module.apply({"params": params}, state, x))


@dataclasses.dataclass(frozen=True)
class NNXCell:
    """A cell of Flax NNX. Parameters are its `nnx.Param`s as a dict, states its carry.

    Those of a module at hand are `nnx.to_pure_dict(nnx.state(module, nnx.Param))`.

    Attributes:
      make: makes the module, called as `make(in_features, rngs=rngs)`; for example
        `functools.partial(nnx.LSTMCell, hidden_features=64)`.
    """

    make: Callable[..., Any]

    def __post_init__(self) -> None:
        module = self._abstract(1)
        # Not in `nnx.RNNCellBase`, though all cells of Flax have it.
        if not hasattr(module, "hidden_features"):
            raise UsageError(
                f"make={self.make!r}: must make a cell of Flax NNX with `hidden_features`"
            )

    @property
    def hidden(self) -> int:
        """Number of units of the module."""
        return self._abstract(1).hidden_features

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
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

    def step(self, params: Params, x: Input, state: State) -> tuple[State, Array]:
        """Calls the module on the input `x`."""
        from flax import nnx

        module = self._abstract(x.shape[-1])
        nnx.update(module, params)
        return _keeping_dtype(module, state, module(state, x))

    def _abstract(self, features_in: int) -> Any:
        """A module without numbers, to be given the parameters."""
        from flax import nnx

        return nnx.eval_shape(lambda: self.make(features_in, rngs=nnx.Rngs(0)))


def _keeping_dtype(module: Any, state: State, result: tuple[State, Array]) -> tuple[State, Array]:
    """The result; UsageError where the module computes in another dtype than it is given."""
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(result[0]), strict=True):
        if old.dtype != new.dtype:
            raise UsageError(
                f"{type(module).__name__} computes in {new.dtype} and is run in {old.dtype}: make "
                f"it with dtype=None, or with dtype={old.dtype}"
            )
    return result


def _cast(tree: Any, dtype: DTypeLike) -> Any:
    return jax.tree.map(lambda a: a.astype(dtype), tree)
