"""Calls outside of `jax.jit`, compiled once for each cell, strategy and shape.

JAX compiles a scan each time that it is called outside of a compiled function. Here the function
around it is compiled and kept, so that the second call runs at full speed. `grad` and `vmap`
outside of `jit` find the same program. Where a function is being compiled already, nothing changes.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from rnnlab.errors import UsageError

#: Programs that are kept, the least recently used one being dropped.
PROGRAMS = 64

#: What never changes, beside dataclasses and tuples of it.
_FIXED = (bool, int, float, complex, str, bytes, np.dtype, np.generic, jax.Device, type)
_FIXED += (type(None), types.FunctionType, types.BuiltinFunctionType)
_FIXED += (type(jax.jit(lambda: None)), jax.custom_jvp, jax.custom_vjp)


def call(function: Callable[..., Any], static: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
    """`function(*static, *arguments)`, by a kept program where that is possible.

    Args:
      function: a pure function at the top level of a module.
      static: its first arguments, such as a cell. Where one is not a value (it cannot be hashed, or
        may change while it stays equal to itself), the function is called as it is.
      arguments: the others, trees of arrays.
    """
    leaves, tree = jax.tree.flatten(arguments)
    if not is_value(static) or not _is_eager(leaves):
        return function(*static, *arguments)
    shapes = tuple((np.shape(leaf), getattr(leaf, "dtype", None)) for leaf in leaves)
    try:
        return _program(function, static, _device(), tree, shapes)(*arguments)
    except UsageError as error:
        vars(error).pop("__notes__", None)  # of JAX, about its own frames
        raise


@lru_cache(maxsize=PROGRAMS)
def _program(
    function: Callable[..., Any], static: tuple[Any, ...], *key: Any
) -> Callable[..., Any]:
    """The compiled function; `key` is what its program depends on besides."""
    del key
    return jax.jit(partial(function, *static))


def is_value(thing: Any) -> bool:
    """Whether equality and hash of a thing are those of its contents, which is safe to look up."""
    if isinstance(thing, tuple):
        return all(map(is_value, thing))
    if isinstance(thing, partial):
        return all(map(is_value, (thing.func, thing.args, *thing.keywords.values())))
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        own = type(thing).__hash__ not in (None, object.__hash__)
        return own and all(is_value(getattr(thing, f.name)) for f in dataclasses.fields(thing))
    return isinstance(thing, _FIXED)


def _is_eager(leaves: Iterable[Any]) -> bool:
    """Whether a computation with these arrays runs now, and is not recorded for later."""
    return all(map(_is_known, leaves)) and not isinstance(jnp.zeros((), bool), Tracer)


def _is_known(leaf: Any) -> bool:
    """Whether an array has values, perhaps within `grad` or `vmap`."""
    while isinstance(leaf, Tracer):
        if hasattr(leaf, "primal"):
            leaf = leaf.primal
        else:
            leaf = leaf.val if hasattr(leaf, "batch_dim") else None  # pyright: ignore[reportAttributeAccessIssue]
    return leaf is not None


def _device() -> Any:
    """The default device as it is set, by which a strategy may choose what it does."""
    return jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
