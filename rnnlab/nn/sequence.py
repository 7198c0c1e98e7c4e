"""A layer over a sequence with the axes that Flax uses: batch first by default."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.typing import ArrayLike

from rnnlab.arrays import Array, Bool, Float, Params, State
from rnnlab.layer import Layer
from rnnlab.unroll import unroll


def run_sequence(
    cell: Layer,
    params: Params,
    inputs: Float[Array, "... D"],
    *,
    time_major: bool,
    lengths: ArrayLike | None,
    resets: Bool[Array, "..."] | None,
    **settings: Any,
) -> tuple[State, Float[Array, "... H"]]:
    """`unroll` over `inputs [*batch, T, D]`, or `[T, *batch, D]` if `time_major`.

    Returns:
      The final state, and the outputs with the axes of the inputs.
    """
    if not time_major:
        inputs = jnp.moveaxis(inputs, -2, 0)
        resets = None if resets is None else jnp.moveaxis(resets, -1, 0)
    state, ys = unroll(cell, params, inputs, lengths=lengths, resets=resets, **settings)
    return state, ys if time_major else jnp.moveaxis(ys, 0, -2)
