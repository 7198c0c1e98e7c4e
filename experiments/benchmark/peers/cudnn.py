"""cuDNN, as JAX calls it."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from experiments.benchmark.candidate import Candidate, JaxCandidate
from experiments.benchmark.peers.base import Peer
from experiments.benchmark.problem import Problem
from rnnlab import interop, precision
from rnnlab.combinators import Bidirectional, Stack
from rnnlab.errors import UsageError


class CuDNN(Peer):
    """`jax.experimental.rnn.lstm`, which hands the whole layer to cuDNN; on a GPU only."""

    name, package, versions = "cuDNN (jax.experimental.rnn)", "jax", ((0, 5), (0, 12))
    batch_major = True

    def candidate(self, problem: Problem) -> Candidate:
        """The problem's layer in this library."""
        from jax.experimental import rnn

        if jax.default_backend() != "gpu":
            raise UsageError(f"needs a GPU, this is a {jax.default_backend()}")
        if problem.dtype != "float32":
            raise UsageError(f"has float32 only, not {problem.dtype}")
        convert = functools.partial(interop.to_cudnn, problem.layer)
        convert(problem.params)  # refuses what cuDNN does not have
        depth = len(problem.layer.layers) if isinstance(problem.layer, Stack) else 1
        first = problem.layer.layers[0] if isinstance(problem.layer, Stack) else problem.layer
        both = isinstance(first, Bidirectional)
        shape = problem.shape
        state = jnp.zeros((depth * (2 if both else 1), shape.batch, shape.hidden), jnp.float32)
        lengths = jnp.full((shape.batch,), shape.time, jnp.int32)
        # float32 means the same for all candidates
        full = precision.in_use() == "float32"
        products = jax.lax.Precision.HIGHEST if full else jax.lax.Precision.DEFAULT

        def run(weights: Any, xs: Any) -> Any:
            sizes = (shape.features, shape.hidden, depth, 0.0, both, products)
            return jax.tree.leaves(rnn.lstm(xs, state, state, weights, lengths, *sizes))[0]

        return JaxCandidate(
            self.name, problem, run, convert, batch_major=True, promotion="standard"
        )
