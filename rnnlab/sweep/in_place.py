"""Reading and writing a step of an array within a loop, in place also when mapped by `vmap`.

JAX maps a dynamic slice into a gather and its update into a scatter. XLA turns them back for the
most part, but compiles a dozen small kernels of index arithmetic for each. Here the mapped form is
a slice of the mapped array, and the mapped axis stays the first one, so that nothing is transposed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

Array = jax.Array


def read(tree: Any, start: Array, size: int) -> Any:
    """`leaf[start : start + size]` of every leaf; `start` is not mapped and not negative."""
    return jax.tree.map(lambda a: _read(size, 0)(a, start), tree)


def read_one(tree: Any, index: Array) -> Any:
    """`leaf[index]` of every leaf."""
    return jax.tree.map(lambda a: a[0], read(tree, index, 1))


def write_one(tree: Any, values: Any, index: Array, axis: int = 0) -> Any:
    """Puts a tree of values at `index` of that axis of every leaf."""

    def write(a: Array, value: Array) -> Array:
        return _write(axis)(a, jnp.expand_dims(value, axis), index)

    return jax.tree.map(write, tree, values)


def _read(size: int, axis: int) -> Any:
    @custom_vmap
    def function(a: Array, start: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(a, start, size, axis, allow_negative_indices=False)

    @function.def_vmap
    def mapped(axis_size: int, in_batched: Any, a: Array, start: Array) -> tuple[Array, bool]:
        del axis_size
        assert not in_batched[1]
        return _read(size, axis + 1 if in_batched[0] else axis)(a, start), in_batched[0]

    return function


def _write(axis: int) -> Any:
    @custom_vmap
    def function(a: Array, value: Array, start: Array) -> Array:
        update = partial(jax.lax.dynamic_update_slice_in_dim, allow_negative_indices=False)
        return update(a, value, start, axis)

    @function.def_vmap
    def mapped(axis_size: int, in_batched: Any, *args: Array) -> tuple[Array, bool]:
        *values, start = args
        assert not in_batched[2]
        values = [
            v if batched else jnp.broadcast_to(v, (axis_size, *v.shape))
            for v, batched in zip(values, in_batched, strict=False)
        ]
        return _write(axis + 1)(*values, start), True

    return function
