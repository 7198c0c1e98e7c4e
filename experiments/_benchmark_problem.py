"""What is computed: a layer of a shape and dtype, its weights and inputs, and three passes over it.

The loss is the sum of all outputs, each weighted with a fixed random number, so that no gradient is
trivial. A candidate computes from these weights and inputs `forward`, the outputs; `gradient`, that
of the loss with respect to the parameters; `gradient and inputs`, with respect to the inputs too.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from experiments._benchmark_timing import Program, compile_jax
from rnnlab import cells
from rnnlab.combinators import Bidirectional, Stack, bidirectional
from rnnlab.errors import UsageError
from rnnlab.unroll import unroll

FORWARD, GRADIENT, GRADIENT_INPUTS = "forward", "gradient", "gradient and inputs"
PASSES = (FORWARD, GRADIENT, GRADIENT_INPUTS)

#: Largest difference to the reference at which a candidate agrees, relative to the largest entry of
#: each array. bfloat16 has 8 bits, and some add up thousands of terms in it.
AGREE = {"float32": 1e-4, "bfloat16": 0.25}


@dataclasses.dataclass(frozen=True)
class Shape:
    """Batch, time, input features and hidden units; written `BxTxDxH`."""

    batch: int
    time: int
    features: int
    hidden: int

    def __str__(self) -> str:
        return "x".join(map(str, dataclasses.astuple(self)))

    @property
    def is_small(self) -> bool:
        """Whether overhead rather than arithmetic decides: B = 1 or H ≤ 64."""
        return self.batch == 1 or self.hidden <= 64

    @property
    def is_large(self) -> bool:
        """Whether arithmetic decides: a batch and H ≥ 128."""
        return self.batch > 1 and self.hidden >= 128


def parse_shape(name: str, text: str) -> Shape:
    """The shape written as `32x128x128x128`; UsageError names the field."""
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){3}", text):
        raise UsageError(f"{name}={text!r}: must be written BxTxDxH, such as 32x128x128x128")
    return Shape(*map(int, text.split("x")))


def parse_layer(text: str, hidden: int) -> Any:
    """The layer written as `NAME`, `NAME:bi`, `NAME:3` or `NAME:bi:3`, with `hidden` units."""
    found = re.fullmatch(r"(\w+?)(:bi)?(?::([1-9]\d*))?", text)
    if not found:
        raise UsageError(
            f"layers={text!r}: must be written CELL, CELL:bi, CELL:3 or CELL:bi:3, such as lstm:3"
        )
    layer: Any = cells.by_name(found[1], hidden)
    layer = bidirectional(layer) if found[2] else layer
    return Stack((layer,) * int(found[3])) if found[3] else layer


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """Weights, inputs `xs [T, B, D]` and weights of the loss `readout [T, B, H]` of one layer.

    All are NumPy arrays, which each candidate takes into a form of its own.

    Attributes:
      name: the layer, as `parse_layer` reads it.
      shape: its sizes.
      dtype: of weights, inputs and outputs.
    """

    name: str
    shape: Shape
    dtype: str

    @functools.cached_property
    def layer(self) -> Any:
        """The cell or combinator."""
        return parse_layer(self.name, self.shape.hidden)

    @functools.cached_property
    def params(self) -> Any:
        """Parameters with biases that are not zero, but for a second bias that not all have."""
        drawn = compile_jax(
            lambda: self.layer.init(jax.random.key(0), self.shape.features, jnp.float32)
        ).result
        rng = np.random.default_rng(1)

        def biased(path: Any, leaf: Any) -> np.ndarray:
            leaf = np.asarray(leaf)
            if path[-1].key == "b":
                leaf = leaf + 0.1 * rng.standard_normal(leaf.shape)
            return leaf.astype(jnp.dtype(self.dtype))

        return jax.tree_util.tree_map_with_path(biased, drawn)

    @functools.cached_property
    def xs(self) -> np.ndarray:
        """Inputs, standard normal."""
        return self._normal(2, self.shape.features)

    @functools.cached_property
    def readout(self) -> np.ndarray:
        """What each output counts in the loss, standard normal."""
        return self._normal(3, self.layer.features_out)

    def _normal(self, seed: int, width: int) -> np.ndarray:
        shape = (self.shape.time, self.shape.batch, width)
        drawn = np.random.default_rng(seed).standard_normal(shape, np.float32)
        return drawn.astype(jnp.dtype(self.dtype))

    def flops(self, pass_: str) -> float:
        """Multiplications and additions of the matrix products of a pass."""
        shape = self.shape
        inward, recurrent, first = _weights(self.layer, shape.features)
        per_step = 2 * shape.batch * shape.time
        if pass_ == FORWARD:
            return per_step * (inward + recurrent)
        without_inputs = first if pass_ == GRADIENT else 0
        return per_step * (3 * (inward + recurrent) - without_inputs)

    @functools.cached_property
    def reference(self) -> tuple[Any, Any, Any]:
        """Outputs and both gradients by plain autodiff, in float64 where JAX has it."""
        wide = jnp.float64 if jax.config.read("jax_enable_x64") else jnp.float32
        args = jax.tree.map(lambda a: jnp.asarray(a, wide), (self.params, self.xs, self.readout))
        with jax.default_matmul_precision("highest"):
            apply = functools.partial(run_ours, self.layer, "autodiff")
            ys, gradients = compile_jax(_with_outputs(apply), *args).result
        return jax.device_get((ys, *gradients))

    def difference(self, candidate: Candidate, pass_: str, result: Any) -> float:
        """Largest difference to the reference, relative to the largest entry of each array.

        Raises:
          TypeError: a result of another dtype than the problem's.
        """
        for leaf in jax.tree.leaves(result):
            if str(leaf.dtype).removeprefix("torch.") != self.dtype:
                raise TypeError(f"returns {leaf.dtype} for {self.dtype}")
        ys, d_params, d_xs = self.reference
        wanted = {FORWARD: ys, GRADIENT: d_params, GRADIENT_INPUTS: (d_params, d_xs)}[pass_]
        got = candidate.as_ours(pass_, result)
        worst = [
            _relative(path, wanted_leaf, got_leaf)
            for (path, wanted_leaf), got_leaf in zip(
                jax.tree_util.tree_leaves_with_path(wanted), jax.tree.leaves(got), strict=True
            )
            if getattr(path[-1] if path else None, "key", "") not in candidate.lacks
        ]
        return max(worst)


class Candidate(Protocol):
    """Something that computes the passes of a problem.

    Attributes:
      name: how it is called in tables.
      lacks: names of parameters it does not have, and that are zero in every problem.
    """

    name: str
    lacks: tuple[str, ...]

    def program(self, pass_: str) -> Program:
        """Compiles a pass and runs it once."""
        ...

    def as_ours(self, pass_: str, result: Any) -> Any:
        """A result in rnnlab's form: time-major outputs, gradients of rnnlab's parameters."""
        ...


class JaxCandidate:
    """A pure function `apply(weights, xs)` of JAX, with weights and data in its own layout.

    Args:
      name: how it is called in tables.
      problem: what it computes.
      apply: maps weights and inputs to the outputs.
      convert: maps rnnlab's parameters to the weights, differentiably.
      batch_major: its inputs and outputs are `[B, T, ...]`.
      lacks: names of parameters it does not have.
      promotion: which promotion of dtypes it is traced with.
    """

    def __init__(
        self,
        name: str,
        problem: Problem,
        apply: Callable[[Any, Any], Any],
        convert: Callable[[Any], Any] = lambda params: params,
        *,
        batch_major: bool = False,
        lacks: tuple[str, ...] = (),
        promotion: str = "strict",
    ) -> None:
        self.name, self.lacks = name, lacks
        self._problem, self._apply, self._promotion = problem, apply, promotion
        self._turn = (lambda a: a.swapaxes(0, 1)) if batch_major else (lambda a: a)
        self._convert = convert
        self._weights = jax.tree.map(jnp.asarray, convert(problem.params))
        self._xs, self._readout = (
            jnp.asarray(self._turn(a)) for a in (problem.xs, problem.readout)
        )

    def program(self, pass_: str) -> Program:
        with jax.numpy_dtype_promotion(self._promotion):
            if pass_ == FORWARD:
                return compile_jax(self._apply, self._weights, self._xs)
            argnums = 0 if pass_ == GRADIENT else (0, 1)
            gradient = jax.grad(_loss(self._apply), argnums)
            return compile_jax(gradient, self._weights, self._xs, self._readout)

    def as_ours(self, pass_: str, result: Any) -> Any:
        if pass_ == FORWARD:
            return self._turn(result)
        if pass_ == GRADIENT:
            return self._pull(result)
        return self._pull(result[0]), self._turn(result[1])

    def _pull(self, d_weights: Any) -> Any:
        """Gradients with respect to our parameters, by the chain rule through the conversion."""
        params = jax.tree.map(jnp.asarray, self._problem.params)
        _, pull = jax.vjp(self._convert, params)  # not traced: some conversions look at values
        return compile_jax(pull, d_weights).result[0]


def run_ours(layer: Any, strategy: str, params: Any, xs: Any) -> Any:
    """The outputs of a layer of rnnlab."""
    return unroll(layer, params, xs, strategy=strategy)[1]


def ours(problem: Problem, strategy: str) -> JaxCandidate:
    """The layer run by one of rnnlab's strategies."""
    apply = functools.partial(run_ours, problem.layer, strategy)
    return JaxCandidate(f"rnnlab {strategy}", problem, apply)


def _loss(apply: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda weights, xs, readout: jnp.sum(apply(weights, xs) * readout)


def _with_outputs(apply: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(params: Any, xs: Any, readout: Any) -> Any:
        return apply(params, xs), jax.grad(_loss(apply), (0, 1))(params, xs, readout)

    return run


def _weights(layer: Any, features: int) -> tuple[int, int, int]:
    """Entries of all `wx`, of all `wh`, and of those `wx` that read the inputs themselves."""
    if isinstance(layer, Stack):
        counts = []
        for each in layer.layers:
            counts.append(_weights(each, features))
            features = each.features_out
        inward, recurrent, first = zip(*counts, strict=True)
        return sum(inward), sum(recurrent), first[0]
    if isinstance(layer, Bidirectional):
        ahead, back = (_weights(each, features) for each in (layer.forward, layer.backward))
        return ahead[0] + back[0], ahead[1] + back[1], ahead[2] + back[2]
    width, hidden = len(layer.blocks) * layer.hidden, layer.hidden
    return features * width, len(layer.recurrent_blocks) * hidden * hidden, features * width


def _relative(path: Any, wanted: Any, got: Any) -> float:
    wanted, got = np.asarray(wanted, np.float64), np.asarray(got).astype(np.float64)
    if wanted.shape != got.shape:
        place = jax.tree_util.keystr(path)
        raise TypeError(f"returns the shape {got.shape}{place} instead of {wanted.shape}")
    return float(np.abs(got - wanted).max() / (np.abs(wanted).max() or 1.0))
