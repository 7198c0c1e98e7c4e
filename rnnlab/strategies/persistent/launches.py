"""Kernels whose CTAs wait for one another, on a batch of any size: launch after launch.

A launch of them has no more CTAs than the GPU runs at the same time, and no two are run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from rnnlab.arrays import Array


def in_turn(
    run: Callable[[Any], Any], tiles: int, inputs: NamedTuple, outputs: NamedTuple
) -> Callable[[Any], Any]:
    """A kernel that shares its tiles out among launches, and is never launched twice at once.

    `jax.vmap` runs it once for each entry.

    Args:
      run: the kernel, from the NamedTuple of its arguments to that of its results.
      tiles: number of tiles of a launch, which divides that of the arguments.
      inputs: of each argument the axis of the tiles; None where it has none.
      outputs: of each result, likewise.
    """
    once = jax.custom_batching.sequential_vmap(run)

    def run_all(given: Any) -> Any:
        parts = (
            a if axis is None else _split(a, axis) for a, axis in zip(given, inputs, strict=True)
        )
        found = jax.vmap(once, (inputs,), outputs)(type(given)(*parts))
        joined = (
            a if a is None else _join(a, axis) for a, axis in zip(found, outputs, strict=True)
        )
        return type(found)(*joined)

    def _split(a: Array, axis: int) -> Array:
        return a.reshape(*a.shape[:axis], a.shape[axis] // tiles, tiles, *a.shape[axis + 1 :])

    def _join(a: Array, axis: int) -> Array:
        return a.reshape(*a.shape[:axis], a.shape[axis] * tiles, *a.shape[axis + 2 :])

    return run_all
