"""Flax: its two APIs, Linen and NNX.

They run the twins of our cells, and cells of their own that are given as `LinenCell` or `NNXCell`:
there the same step stands on both sides, and the comparison is of what unrolls it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark.peers.base import JaxPeer
from experiments.benchmark.problem import Apply, Problem
from rnnlab import interop
from rnnlab.cells import GRU
from rnnlab.interop import LinenCell, NNXCell

#: The cells of Flax, both APIs, by the class of ours.
FLAX = {"Elman": "SimpleCell", "LSTM": "OptimizedLSTMCell", "GRU": "GRUCell"}


class Linen(JaxPeer):
    """`flax.linen.RNN`."""

    name, package, versions = "Flax Linen", "flax", ((0, 10), (0, 13))

    def convert(self, cell: Any, params: Any) -> Any:
        """The library's weights; UsageError where it has no such cell."""
        own = isinstance(cell, LinenCell)
        return {"params": {"cell": params if own else interop.to_linen(cell, params)}}

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Apply:
        """A pure function of weights and inputs."""
        from flax import linen

        if isinstance(cell, LinenCell):
            inner = cell.module
        else:
            kind = getattr(linen, FLAX[type(cell).__name__])
            inner = kind(cell.hidden, dtype=problem.dtype, param_dtype=problem.dtype)
        return linen.RNN(inner, time_major=True, reverse=reverse, keep_order=True).apply


class NNX(JaxPeer):
    """`flax.nnx.RNN`."""

    name, package, versions = "Flax NNX", "flax", ((0, 12), (0, 13))
    lacks = ("bh",)

    def convert(self, cell: Any, params: Any) -> Any:
        """The library's weights; UsageError where it has no such cell."""
        if isinstance(cell, NNXCell):
            return {"cell": params}
        if isinstance(cell, GRU):  # its candidate has no recurrent bias, here always zero
            params = params | {"bh": np.zeros(params["bh"].shape, params["bh"].dtype)}
        return {"cell": interop.to_nnx(cell, params)}

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Apply:
        """A pure function of weights and inputs."""
        from flax import nnx

        if isinstance(cell, NNXCell):
            inner = cell.make(features, rngs=nnx.Rngs(0))
        else:
            inner = _twin(cell, features, jnp.dtype(problem.dtype))
        rnn = nnx.RNN(inner, time_major=True, reverse=reverse, keep_order=True)
        definition, drawn, rest = nnx.split(rnn, nnx.Param, ...)

        def run(weights: Any, xs: Any) -> Any:
            state = jax.tree.map(lambda leaf: leaf, drawn)
            nnx.replace_by_pure_dict(state, weights)
            return nnx.merge(definition, state, rest, copy=True)(xs)

        return run


def _twin(cell: Any, features: int, dtype: Any) -> Any:
    """The module of Flax NNX that equals a cell of ours."""
    from flax import nnx

    return getattr(nnx, FLAX[type(cell).__name__])(
        features,
        cell.hidden,
        dtype=dtype,
        param_dtype=dtype,
        recurrent_kernel_init=nnx.initializers.zeros_init(),  # orthogonal has no bfloat16
        rngs=nnx.Rngs(0),
    )
