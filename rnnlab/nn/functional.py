"""A module of Flax NNX as pure functions of its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar

import jax
from flax import nnx

from rnnlab.arrays import Key, Params

Module = TypeVar("Module", bound=nnx.Module)


@dataclasses.dataclass(frozen=True)
class Functional(Generic[Module]):
    """A module as two pure functions: its parameters drawn, and the module with parameters.

        model = Functional(lambda rngs: Recurrent(LSTM(64), 16, rngs=rngs))
        params = model.init(jax.random.key(0))
        state, ys = model.bind(params)(xs)

    `bind` may be used under `jit` and `grad`: gradients are those of the parameters. All arrays of
    the module must be parameters (`nnx.Param`).

    Attributes:
        make: the module, whose weights the given `nnx.Rngs` draws.
    """

    make: Callable[[nnx.Rngs], Module]

    def init(self, key: Key) -> Params:
        """Draws the parameters: nested dicts of arrays, by the names of the module's attributes."""
        return nnx.to_pure_dict(nnx.state(self.make(nnx.Rngs(params=key))))

    def bind(self, params: Params) -> Module:
        """The module with these parameters."""
        return nnx.merge(self._graph, params)

    @cached_property
    def _graph(self) -> Any:
        """The structure of the module, found without drawing anything."""
        return nnx.split(nnx.eval_shape(lambda: self.make(nnx.Rngs(params=jax.random.key(0)))))[0]
