"""Keras 3 on JAX."""

from __future__ import annotations

import os
from typing import Any

import jax.numpy as jnp

from experiments.benchmark.peers.base import JaxPeer
from experiments.benchmark.problem import Apply, Problem
from rnnlab import interop
from rnnlab.cells import GRU
from rnnlab.errors import UsageError


class Keras(JaxPeer):
    """Layers of Keras 3 on JAX, through `stateless_call`; batch first, as they always are."""

    name, package, versions = "Keras", "keras", ((3, 5), (4,))
    batch_major = True

    def convert(self, cell: Any, params: Any) -> Any:
        """The library's weights; UsageError where it has no such cell."""
        return interop.to_keras(cell, params)

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Apply:
        """A pure function of weights and inputs."""
        os.environ.setdefault("KERAS_BACKEND", "jax")  # read once, by the first import
        import keras

        if keras.backend.backend() != "jax":
            raise UsageError(f"runs on {keras.backend.backend()}; set KERAS_BACKEND=jax")
        kind = {"Elman": "SimpleRNN", "LSTM": "LSTM"}.get(type(cell).__name__, "GRU")
        settings: dict[str, Any] = {
            "return_sequences": True,
            "recurrent_initializer": "zeros",  # orthogonal has no bfloat16
        }
        if kind == "SimpleRNN":
            settings["activation"] = cell.activation
        if kind == "GRU":
            settings["reset_after"] = isinstance(cell, GRU)
        layer = getattr(keras.layers, kind)(cell.hidden, dtype=problem.dtype, **settings)
        layer.build((problem.shape.batch, problem.shape.time, features))

        def run(weights: Any, xs: Any) -> Any:
            fixed = [variable.value for variable in layer.non_trainable_variables]
            # Not by go_backwards, whose outputs are in another order on a GPU than on the CPU.
            ys = layer.stateless_call(weights, fixed, jnp.flip(xs, 1) if reverse else xs)[0]
            return jnp.flip(ys, 1) if reverse else ys

        return run
