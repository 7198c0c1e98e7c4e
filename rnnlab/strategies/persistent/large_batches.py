"""Kernels whose CTAs wait for one another, on a batch of any size: launch after launch.

A launch of them has no more CTAs than the GPU runs at the same time, and no two are run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def in_turn(
    run: Callable[[Any], Any],
    tiles: int,
    inputs: tuple[int | None, ...],
    outputs: tuple[int | None, ...],
) -> Callable[[Any], tuple[Any, ...]]:
    """A kernel that shares its tiles out among launches, and is never launched twice at once.

    `jax.vmap` runs it once for each entry.

    Args:
      run: the kernel, from the NamedTuple of its arguments to that of its results.
      tiles: number of tiles of a launch, which divides that of the arguments.
      inputs: of each argument the axis of the tiles; None where it has none.
      outputs: of each result, likewise.

    Returns:
      From the arguments to the results, as a plain tuple.
    """
    once = jax.custom_batching.sequential_vmap(run)

    def split(a: Any, axis: int | None) -> Any:
        if axis is None:
            return a
        return a.reshape(*a.shape[:axis], a.shape[axis] // tiles, tiles, *a.shape[axis + 1 :])

    def join(a: Any, axis: int | None) -> Any:
        if a is None or axis is None:
            return a
        return a.reshape(*a.shape[:axis], a.shape[axis] * tiles, *a.shape[axis + 2 :])

    def run_all(given: Any) -> tuple[Any, ...]:
        launches = jax.vmap(lambda *fields: tuple(once(type(given)(*fields))), inputs, outputs)
        return tuple(map(join, launches(*map(split, given, inputs)), outputs))

    return run_all
