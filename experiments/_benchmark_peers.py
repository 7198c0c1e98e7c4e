"""The peers: other libraries' layers on the same weights, converted with `rnnlab.interop`.

Each peer says how it runs one cell over a sequence; stacks run layer after layer, and bidirectional
layers join a forward and a backward run, as the wrappers of these libraries do. Data stand in the
layout that the peer wants before its clock starts. Whatever a peer cannot do raises an error whose
first line is the reason that the tables give.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._benchmark_problem import Candidate, JaxCandidate, Problem
from experiments._benchmark_torch import TorchCandidate
from rnnlab import interop
from rnnlab.cells import GRU
from rnnlab.combinators import Bidirectional, Stack
from rnnlab.errors import UsageError

Run = Callable[[Any, Any], Any]


class Peer:
    """A library on JAX that runs a cell over a sequence, `[T, B, D]` to `[T, B, H]`.

    Attributes:
      name: of the library.
      package: what its distribution is called.
      versions: the first that is known to work, and the first that is not known.
      batch_major: its inputs and outputs are `[B, T, ...]`.
    """

    name: str
    package: str
    versions: tuple[tuple[int, ...], tuple[int, ...]]
    batch_major = False

    def convert(self, cell: Any, params: Any) -> Any:
        """The library's weights; UsageError where it has no such cell."""
        raise NotImplementedError

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Run:
        """A pure function of weights and inputs; anything stateful is made here, before tracing."""
        raise NotImplementedError

    def lacks(self, problem: Problem) -> tuple[str, ...]:
        """Names of parameters that the library does not have."""
        del problem
        return ()

    def candidate(self, problem: Problem) -> Candidate:
        """The problem's layer in this library. Raises whatever says why there is none."""
        with jax.numpy_dtype_promotion("standard"):
            self._convert_all(problem.layer, problem.params)  # refuses what the library lacks
            return JaxCandidate(
                self.name,
                problem,
                self._build(problem.layer, problem.shape.features, problem, False),
                functools.partial(self._convert_all, problem.layer),
                batch_major=self.batch_major,
                lacks=self.lacks(problem),
                promotion="standard",
            )

    def _convert_all(self, layer: Any, params: Any) -> Any:
        if isinstance(layer, Stack):
            pairs = zip(layer.layers, params, strict=True)
            return tuple(self._convert_all(each, inner) for each, inner in pairs)
        if isinstance(layer, Bidirectional):
            return {
                name: self._convert_all(getattr(layer, name), inner)
                for name, inner in params.items()
            }
        return self.convert(layer, params)

    def _build(self, layer: Any, features: int, problem: Problem, reverse: bool) -> Run:
        if isinstance(layer, Stack):
            widths = (features, *(each.features_out for each in layer.layers[:-1]))
            parts = [
                self._build(each, width, problem, reverse)
                for each, width in zip(layer.layers, widths, strict=True)
            ]
            return functools.partial(_one_after_the_other, parts)
        if isinstance(layer, Bidirectional):
            ahead = self._build(layer.forward, features, problem, reverse)
            back = self._build(layer.backward, features, problem, not reverse)
            return lambda weights, xs: jnp.concatenate(
                [ahead(weights["forward"], xs), back(weights["backward"], xs)], axis=-1
            )
        return self.run(layer, features, problem, reverse)


def _one_after_the_other(parts: list[Run], weights: Any, xs: Any) -> Any:
    for part, inner in zip(parts, weights, strict=True):
        xs = part(inner, xs)
    return xs


#: The cells of Flax, both APIs, by those of rnnlab.
FLAX = {"Elman": "SimpleCell", "LSTM": "OptimizedLSTMCell", "GRU": "GRUCell"}


class Linen(Peer):
    """`flax.linen.RNN`."""

    name, package, versions = "Flax Linen", "flax", ((0, 10), (0, 13))

    def convert(self, cell: Any, params: Any) -> Any:
        return {"params": {"cell": interop.to_linen(cell, params)}}

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Run:
        from flax import linen

        kind = getattr(linen, FLAX[type(cell).__name__])
        inner = kind(cell.hidden, dtype=problem.dtype, param_dtype=problem.dtype)
        return linen.RNN(inner, time_major=True, reverse=reverse, keep_order=True).apply


class NNX(Peer):
    """`flax.nnx.RNN`."""

    name, package, versions = "Flax NNX", "flax", ((0, 12), (0, 13))

    def lacks(self, problem: Problem) -> tuple[str, ...]:
        return ("bh",)

    def convert(self, cell: Any, params: Any) -> Any:
        if isinstance(cell, GRU):  # its candidate has no recurrent bias, here always zero
            params = params | {"bh": np.zeros(params["bh"].shape, params["bh"].dtype)}
        return {"cell": interop.to_nnx(cell, params)}

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Run:
        from flax import nnx

        kind = getattr(nnx, FLAX[type(cell).__name__])
        inner = kind(
            features,
            cell.hidden,
            dtype=jnp.dtype(problem.dtype),
            param_dtype=jnp.dtype(problem.dtype),
            recurrent_kernel_init=nnx.initializers.zeros_init(),  # orthogonal has no bfloat16
            rngs=nnx.Rngs(0),
        )
        rnn = nnx.RNN(inner, time_major=True, reverse=reverse, keep_order=True)
        definition, drawn, rest = nnx.split(rnn, nnx.Param, ...)

        def run(weights: Any, xs: Any) -> Any:
            state = jax.tree.map(lambda leaf: leaf, drawn)
            nnx.replace_by_pure_dict(state, weights)
            return nnx.merge(definition, state, rest, copy=True)(xs)

        return run


class Haiku(Peer):
    """`haiku.dynamic_unroll`."""

    name, package, versions = "Haiku", "dm-haiku", ((0, 0, 13), (0, 1))

    def convert(self, cell: Any, params: Any) -> Any:
        return interop.to_haiku(cell, params)

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Run:
        import haiku

        kind = {"Elman": "VanillaRNN", "LSTM": "LSTM"}.get(type(cell).__name__, "GRU")

        def run(xs: Any) -> Any:
            core = getattr(haiku, kind)(cell.hidden)
            # Haiku's own zeros have JAX's default dtype, whatever the inputs have.
            start = jax.tree.map(lambda a: a.astype(xs.dtype), core.initial_state(xs.shape[1]))
            return haiku.dynamic_unroll(core, xs, start, reverse=reverse)[0]

        return haiku.without_apply_rng(haiku.transform(run)).apply


class Equinox(Peer):
    """A cell of `equinox.nn` in `jax.lax.scan`, as its documentation runs one."""

    name, package, versions = "Equinox", "equinox", ((0, 11, 10), (0, 14))

    def convert(self, cell: Any, params: Any) -> Any:
        return interop.to_equinox(cell, params)

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Run:
        is_pair = type(cell).__name__ == "LSTM"

        def run(module: Any, xs: Any) -> Any:
            def body(state: Any, x: Any) -> Any:
                state = jax.vmap(module)(x, state)
                return state, state[0] if is_pair else state

            zeros = jnp.zeros((xs.shape[1], cell.hidden), xs.dtype)
            start = (zeros, zeros) if is_pair else zeros
            return jax.lax.scan(body, start, xs, reverse=reverse)[1]

        return run


class Keras(Peer):
    """Layers of Keras 3 on JAX, through `stateless_call`; batch first, as they always are."""

    name, package, versions = "Keras", "keras", ((3, 5), (4,))
    batch_major = True

    def convert(self, cell: Any, params: Any) -> Any:
        return interop.to_keras(cell, params)

    def run(self, cell: Any, features: int, problem: Problem, reverse: bool) -> Run:
        os.environ.setdefault("KERAS_BACKEND", "jax")  # read once, by the first import
        import keras

        if keras.backend.backend() != "jax":
            raise UsageError(f"runs on {keras.backend.backend()}; set KERAS_BACKEND=jax")
        kind = {"Elman": "SimpleRNN", "LSTM": "LSTM"}.get(type(cell).__name__, "GRU")
        settings: dict[str, Any] = {
            "return_sequences": True,
            "go_backwards": reverse,
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
            ys = layer.stateless_call(weights, fixed, xs)[0]
            return jnp.flip(ys, 1) if reverse else ys

        return run


class CuDNN(Peer):
    """`jax.experimental.rnn.lstm`, which hands the whole layer to cuDNN; on a GPU only."""

    name, package, versions = "cuDNN (jax.experimental.rnn)", "jax", ((0, 5), (0, 12))
    batch_major = True

    def candidate(self, problem: Problem) -> Candidate:
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
        precision = jax.lax.Precision.HIGHEST  # float32 means float32 for all candidates

        def run(weights: Any, xs: Any) -> Any:
            sizes = (shape.features, shape.hidden, depth, 0.0, both, precision)
            return jax.tree.leaves(rnn.lstm(xs, state, state, weights, lengths, *sizes))[0]

        return JaxCandidate(
            self.name, problem, run, convert, batch_major=True, promotion="standard"
        )


class Torch(Peer):
    """`torch.nn.RNN`, `LSTM` and `GRU`, eager."""

    name, package, versions = "PyTorch", "torch", ((2, 5), (3,))

    def candidate(self, problem: Problem) -> Candidate:
        return TorchCandidate(self.name, problem)


PEERS: tuple[Peer, ...] = (Linen(), NNX(), Haiku(), Equinox(), Keras(), CuDNN(), Torch())


def check_version(peer: Peer) -> str:
    """The version of an installed peer.

    Raises:
      UsageError: it is not installed, or of a version that this benchmark does not know.
    """
    try:
        version = importlib.metadata.version(peer.package)
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError("is not installed; pip install 'rnnlab[peers]' adds it") from error
    least, beyond = peer.versions
    numbers = tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[:3]))
    if not least <= numbers < beyond:
        known = f">={'.'.join(map(str, least))},<{'.'.join(map(str, beyond))}"
        raise UsageError(f"{peer.package} {version} is not among the known versions {known}")
    return version
