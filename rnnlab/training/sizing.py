"""How large a network may be for a given number of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from rnnlab.errors import UsageError


def count_parameters(init: Callable[[jax.Array], Any]) -> int:
    """The number of parameters that `init(key)` draws; they are not drawn for it."""
    shapes = jax.eval_shape(init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def widest(parameters: Callable[[int], int], most: int) -> int:
    """The largest size, 1, 2, …, at which a network has at most that many parameters.

    Args:
        parameters: of a network of that size, such as its hidden units; larger ones have more.
        most: the number that may not be exceeded.

    Raises:
        UsageError: even the smallest has more.
    """
    if parameters(1) > most:
        raise UsageError(f"parameters={most}: the smallest network has {parameters(1)} already")
    low, high = 1, 2
    while parameters(high) <= most:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(middle) <= most else (low, middle)
    return low
