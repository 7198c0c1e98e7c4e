"""The adding problem: the sum of two marked numbers among many.

Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory" (1997), experiment 4, in the form
of M. Arjovsky, A. Shah and Y. Bengio, "Unitary evolution recurrent neural networks" (2016), section
4.2: fixed length, numbers from the unit interval, one mark in each half.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from rnnlab.arrays import Key
from rnnlab.data.tasks.base import Batch, Task, full, integers


@dataclasses.dataclass(frozen=True)
class Adding(Task):
    """Inputs `(number, mark)`; numbers are uniform on [0, 1), the target is the sum of two of them.

    The mark is 1 at one uniform step of the first ⌊T/2⌋, at one of the rest, and 0 elsewhere.
    Without learning the best answer is 1, with the variance of the sum as mean squared error:
    2 · 1/12 = 1/6.
    """

    features_in: ClassVar[int] = 2
    shortest: ClassVar[int] = 2

    @property
    def classes(self) -> int:
        """None: the answer is a number."""
        return 0

    def baseline(self, length: int) -> float:
        """The variance of the sum of two uniform numbers."""
        self.check(length)
        return 1 / 6

    def _draw(self, key: Key, batch: int, length: int, dtype: jnp.dtype) -> Batch:
        key_numbers, key_first, key_second = jax.random.split(key, 3)
        numbers = jax.random.uniform(key_numbers, (length, batch), dtype)
        first = integers(key_first, (batch,), 0, length // 2)
        second = integers(key_second, (batch,), length // 2, length)
        time = jnp.arange(length, dtype=jnp.int32)[:, None]
        marks = ((time == first) | (time == second)).astype(dtype)
        xs = jnp.stack([numbers, marks], axis=-1)
        return Batch(xs, (numbers * marks).sum(axis=0), full(length, batch))
