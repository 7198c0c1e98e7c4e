"""What is computed: a layer of a shape and dtype, its weights and inputs, and three passes over it.

The loss is the sum of all outputs, each weighted with a fixed random number, so that no gradient is
trivial. A candidate computes from these weights and inputs `forward`, the outputs; `gradient`, that
of the loss with respect to the parameters; `gradient and inputs`, with respect to the inputs too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark.flops import product_flops
from experiments.benchmark.notation import Shape, parse_layer
from rnnlab import precision
from rnnlab.layer import output_size
from rnnlab.timing import compile_jax
from rnnlab.unroll import unroll

FORWARD, GRADIENT, GRADIENT_INPUTS = "forward", "gradient", "gradient and inputs"
PASSES = (FORWARD, GRADIENT, GRADIENT_INPUTS)

#: Maps weights and inputs to outputs.
Apply = Callable[[Any, Any], Any]


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

    def __str__(self) -> str:
        return f"{self.name}, {self.shape}, {self.dtype}"

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
            if path[-1].key in ("b", "bias"):  # of our cells, and of Flax
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
        return self._normal(3, output_size(self.layer) or self.shape.features)

    def _normal(self, seed: int, width: int) -> np.ndarray:
        shape = (self.shape.time, self.shape.batch, width)
        drawn = np.random.default_rng(seed).standard_normal(shape, np.float32)
        return drawn.astype(jnp.dtype(self.dtype))

    def flops(self, pass_: str) -> float:
        """Multiplications and additions of the matrix products of a pass in plain autodiff."""
        apply, args = outputs_of(self.layer, "autodiff"), (self.params, self.xs)
        if pass_ == FORWARD:
            return product_flops(apply, *args)
        argnums = 0 if pass_ == GRADIENT else (0, 1)
        return product_flops(jax.grad(loss_of(apply), argnums), *args, self.readout)

    @functools.cached_property
    def reference(self) -> tuple[Any, Any, Any]:
        """Outputs and both gradients by plain autodiff, in float64 where JAX has it."""
        wide = jnp.float64 if jax.config.read("jax_enable_x64") else jnp.float32
        args = jax.tree.map(lambda a: jnp.asarray(a, wide), (self.params, self.xs, self.readout))
        apply = outputs_of(self.layer, "autodiff")

        def run(params: Any, xs: Any, readout: Any) -> Any:
            return apply(params, xs), jax.grad(loss_of(apply), (0, 1))(params, xs, readout)

        with jax.default_matmul_precision(precision.PRECISIONS["float32"]):
            ys, gradients = compile_jax(run, *args).result
        return jax.device_get((ys, *gradients))


def outputs_of(layer: Any, strategy: str) -> Apply:
    """The outputs of a layer of rnnlab as a function of parameters and inputs."""
    return lambda params, xs: unroll(layer, params, xs, strategy=strategy)[1]


def loss_of(apply: Apply) -> Callable[[Any, Any, Any], Any]:
    """The loss as a function of weights, inputs and readout."""
    return lambda weights, xs, readout: jnp.sum(apply(weights, xs) * readout)
