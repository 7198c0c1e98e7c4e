"""What the tests of conversions share: sizes, numbers, and the comparison with a peer on JAX."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.unroll import unroll
from tests import quick

T, B, D, H = 5, 3, 4, 6


def inputs(dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(T, B, D)).astype(dtype)


def draw(tree: Any, seed: int = 1, dtype: Any = np.float32) -> Any:
    """NumPy numbers in the shapes of `tree`, none of them zero, so that each bias shows."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: (0.5 * rng.normal(size=a.shape)).astype(dtype), tree)


@cache
def shapes_of(layer: Any) -> Any:
    return jax.eval_shape(lambda: layer.init(jax.random.key(0), D))


def draw_params(layer: Any, dtype: Any = np.float32) -> Any:
    return draw(shapes_of(layer), dtype=dtype)


def assert_close(got: Any, want: Any, tolerance: float) -> None:
    close = partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    jax.tree.map(close, got, want)


def assert_equal(got: Any, want: Any) -> None:
    """The same numbers in the same dtypes."""
    jax.tree.map(partial(np.testing.assert_array_equal, strict=True), got, want)


def loss(ys: Any) -> Any:
    return jnp.sin(ys).sum()


def with_gradients(run: Any) -> Any:
    """`run(weights, xs)` with its outputs and the gradients of their loss, in one program."""

    def scored(weights: Any, xs: Any) -> Any:
        ys = run(weights, xs)
        return loss(ys), ys

    return quick.jit(jax.value_and_grad(scored, argnums=(0, 1), has_aux=True))


def assert_same_network(weights: Any, peer: Any, *ours: tuple[Any, Any, str]) -> None:
    """`peer(weights, xs)` and our engine agree, in outputs and in gradients of the peer's weights.

    Each of `ours` is a cell, the conversion of the peer's weights to its parameters, and a
    strategy. Peers mix dtypes that the strict promotion of these tests refuses.
    """
    weights, xs = jax.tree.map(jnp.asarray, (weights, inputs()))
    with jax.numpy_dtype_promotion("standard"):
        (_, want), want_gradients = with_gradients(peer)(weights, xs)

    for cell, convert, strategy in ours:

        def run(weights: Any, xs: Any, cell=cell, convert=convert, strategy=strategy) -> Any:
            return unroll(cell, convert(weights), xs, strategy=strategy)[1]

        (_, got), gradients = with_gradients(run)(weights, xs)
        assert got.dtype == jnp.float32
        assert_close(got, want, 1e-5)
        assert_close(gradients, want_gradients, 1e-4)
