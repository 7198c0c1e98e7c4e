"""Parity: is the number of ones in a sequence of bits odd?

No answer before the last bit helps, and a single wrong step spoils it, so that only a network with
the exact two-state machine extrapolates.

Source: one of the problems of Y. Bengio, P. Simard and P. Frasconi, "Learning long-term
dependencies with gradient descent is difficult" (1994).
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from rnnlab.arrays import Key
from rnnlab.data.tasks.base import Batch, Task, full, integers


@dataclasses.dataclass(frozen=True)
class Parity(Task):
    """Fair bits -1 and +1; the class is the number of +1 so far modulo 2.

    Without learning the loss is ln 2: all bits but the last leave both classes equally likely.

    Attributes:
        running: ask at every step for the parity up to it, instead of once after the last.
        varied: draw the length of each sequence from 1 .. T, instead of T for all.
    """

    running: bool = False
    varied: bool = True

    features_in: ClassVar[int] = 1
    shortest: ClassVar[int] = 1

    @property
    def classes(self) -> int:
        """Even and odd."""
        return 2

    @property
    def every_step(self) -> bool:
        """Whether the parity up to every step is asked for."""
        return self.running

    def _draw(self, key: Key, batch: int, length: int, dtype: jnp.dtype) -> Batch:
        key_bits, key_lengths = jax.random.split(key)
        bits = integers(key_bits, (length, batch), 0, 2)
        lengths = full(length, batch)
        if self.varied:
            lengths = integers(key_lengths, (batch,), 1, length + 1)
        parity = jnp.cumsum(bits, axis=0) % 2
        if not self.running:
            parity = jnp.take_along_axis(parity, lengths[None, :] - 1, axis=0)[0]
        return Batch((2 * bits - 1).astype(dtype)[..., None], parity.astype(jnp.int32), lengths)
