"""Haiku."""

from __future__ import annotations

from typing import Any

import jax

from experiments.benchmark.peers.base import JaxPeer
from experiments.benchmark.problem import Apply, Problem
from rnnlab import interop


class Haiku(JaxPeer):
    """`haiku.dynamic_unroll`."""

    name, package, versions = "Haiku", "dm-haiku", ((0, 0, 13), (0, 1))

    def convert(self, cell: Any, params: Any) -> Any:
        """The library's weights; UsageError where it has no such cell."""
        return interop.to_haiku(cell, params)

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Apply:
        """A pure function of weights and inputs."""
        import haiku

        kind = {"Elman": "VanillaRNN", "LSTM": "LSTM"}.get(type(cell).__name__, "GRU")

        def run(xs: Any) -> Any:
            core = getattr(haiku, kind)(cell.hidden)
            # Haiku's own zeros have JAX's default dtype, whatever the inputs have.
            start = jax.tree.map(lambda a: a.astype(xs.dtype), core.initial_state(xs.shape[1]))
            return haiku.dynamic_unroll(core, xs, start, reverse=reverse)[0]

        return haiku.without_apply_rng(haiku.transform(run)).apply
