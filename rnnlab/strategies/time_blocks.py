"""A scan over blocks of time, for the strategies that treat the steps of a block as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnnlab.arrays import State


def scan_time_blocks(
    run: Callable[[State, Any, Any], tuple[State, Any]], state: State, inputs: Any, size: int
) -> tuple[State, Any]:
    """Scans `run(state, time_block, first)` over blocks of `size` steps; the last may be shorter.

    Args:
      run: maps a state, a time block of the inputs `[<= size, ...]` and whether it is the first
        to the next state and the outputs `[<= size, ...]`.
      state: the state before the first step.
      inputs: tree of `[T, ...]`.
      size: steps in a time block.

    Returns:
      The final state and the outputs `[T, ...]`.
    """
    steps = jax.tree.leaves(inputs)[0].shape[0]
    count = steps // size
    if count == 0:
        return run(state, inputs, True)
    whole = jax.tree.map(lambda a: a[: count * size].reshape(count, size, *a.shape[1:]), inputs)
    state, outputs = jax.lax.scan(
        lambda s, block: run(s, *block), state, (whole, jnp.arange(count) == 0)
    )
    outputs = jax.tree.map(lambda a: a.reshape(count * size, *a.shape[2:]), outputs)
    if count * size < steps:
        rest = jax.tree.map(lambda a: a[count * size :], inputs)
        state, tail = run(state, rest, False)
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, tail)
    return state, outputs
