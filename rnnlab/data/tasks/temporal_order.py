"""Temporal order: in which order did two or three symbols come, among distractors?

Source: the task is experiment 6 of S. Hochreiter and J. Schmidhuber, "Long short-term memory"
(1997). Here it is in the form of J. Martens and I. Sutskever, "Learning recurrent neural networks
with Hessian-free optimization" (2011), which R. Pascanu, T. Mikolov and Y. Bengio, "On the
difficulty of training recurrent neural networks" (2013), use for their success rates: fixed length
T, positions that scale with it, neither start nor end symbol. Positions are those of the paper; the
code published with it puts the second of two symbols a tenth later.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from rnnlab.arrays import Key
from rnnlab.data.tasks.base import Batch, Task, full, integers
from rnnlab.errors import UsageError

#: Tenths of T where the interval of each symbol begins; it is one tenth long.
TENTHS = {2: (1, 4), 3: (1, 3, 6)}


@dataclasses.dataclass(frozen=True)
class TemporalOrder(Task):
    """A or B at each of a few steps, distractors c, d, e, f at all others; one-hot of six.

    Positions are uniform integers, of two symbols in [T/10, 2T/10) and [4T/10, 5T/10), of three in
    [T/10, 2T/10), [3T/10, 4T/10) and [6T/10, 7T/10), bounds rounded down. The class, asked for at
    the last step, reads the symbols as a binary number, the first one leading: AA, AB, BA, BB. All
    are equally likely, so that without learning the loss is ln 4 or ln 8.

    Attributes:
        symbols: how many symbols matter, 2 or 3.
    """

    symbols: int = 2

    features_in: ClassVar[int] = 6
    shortest: ClassVar[int] = 10

    def __post_init__(self) -> None:
        """Checks the number of symbols."""
        if self.symbols not in TENTHS:
            raise UsageError(f"symbols={self.symbols!r}: must be 2 or 3")

    @property
    def classes(self) -> int:
        """The orders that are possible."""
        return 2**self.symbols

    def _draw(self, key: Key, batch: int, length: int, dtype: jnp.dtype) -> Batch:
        key_distractors, key_symbols, *keys = jax.random.split(key, 2 + self.symbols)
        inputs = integers(key_distractors, (length, batch), 2, 6)
        chosen = integers(key_symbols, (self.symbols, batch), 0, 2)
        time = jnp.arange(length, dtype=jnp.int32)[:, None]
        target = jnp.zeros((batch,), jnp.int32)
        for symbol, tenth, key_position in zip(chosen, TENTHS[self.symbols], keys, strict=True):
            low, high = tenth * length // 10, (tenth + 1) * length // 10
            position = integers(key_position, (batch,), low, high)
            inputs = jnp.where(time == position, symbol, inputs)
            target = 2 * target + symbol
        xs = jax.nn.one_hot(inputs, self.features_in, dtype=dtype)
        return Batch(xs, target, full(length, batch))
