"""Sizes of networks that have a given number of parameters."""

from __future__ import annotations

from collections.abc import Callable

import jax

from rnnlab.arrays import Key, Params


def count_parameters(init: Callable[[Key], Params]) -> int:
    """How many numbers `init` would draw; nothing is drawn."""
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0))))


def largest(fits: Callable[[int], bool]) -> int:
    """The largest positive integer that fits, where all smaller ones do; 0 if not even 1 does."""
    if not fits(1):
        return 0
    low, high = 1, 2
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
