"""Equinox."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from experiments.benchmark.peers.base import JaxPeer
from experiments.benchmark.problem import Apply, Problem
from rnnlab import interop


class Equinox(JaxPeer):
    """A cell of `equinox.nn` in `jax.lax.scan`, as its documentation runs one."""

    name, package, versions = "Equinox", "equinox", ((0, 11, 10), (0, 14))

    def convert(self, cell: Any, params: Any) -> Any:
        """The library's weights; UsageError where it has no such cell."""
        return interop.to_equinox(cell, params)

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Apply:
        """A pure function of weights and inputs."""
        is_pair = type(cell).__name__ == "LSTM"

        def run(module: Any, xs: Any) -> Any:
            def body(state: Any, x: Any) -> Any:
                state = jax.vmap(module)(x, state)
                return state, state[0] if is_pair else state

            zeros = jnp.zeros((xs.shape[1], cell.hidden), xs.dtype)
            start = (zeros, zeros) if is_pair else zeros
            return jax.lax.scan(body, start, xs, reverse=reverse)[1]

        return run
