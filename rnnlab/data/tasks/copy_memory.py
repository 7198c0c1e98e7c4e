"""The copy memory problem: some symbols, a long pause, and the same symbols again.

Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory" (1997), in the form of M.
Arjovsky, A. Shah and Y. Bengio, "Unitary evolution recurrent neural networks" (2016), section 4.1.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Key
from rnnlab.data.tasks.base import Batch, Task, full, integers
from rnnlab.sizes import check_positive


@dataclasses.dataclass(frozen=True)
class CopyMemory(Task):
    """Uniform symbols out of 8, T - 1 blanks, a delimiter, blanks: T + 20 steps of ten, one-hot.

        input    s_1 … s_10  _ … _ (T - 1)  |  _ … _ (10)
        target   _ … _ (T + 10)                s_1 … s_10

    Every step answers with one of 9 classes, the symbols 0 .. 7 and the blank, 8; the delimiter, 9,
    is an input only. Without learning the best answer is the blank for T + 10 steps and then a
    guess, at a mean loss of 10 ln 8 / (T + 20).

    Attributes:
        count: symbols to remember, ten in the papers and above.
    """

    #: Kinds of symbols.
    SYMBOLS: ClassVar[int] = 8

    features_in: ClassVar[int] = 10
    shortest: ClassVar[int] = 1

    count: int = 10

    def __post_init__(self) -> None:
        """Checks the number of symbols."""
        check_positive("count", self.count)

    @property
    def classes(self) -> int:
        """The symbols and the blank."""
        return self.SYMBOLS + 1

    @property
    def every_step(self) -> bool:
        """Blanks have to be answered too."""
        return True

    def steps(self, length: int) -> int:
        """T + 20 of ten symbols."""
        self.check(length)
        return length + 2 * self.count

    def baseline(self, length: int) -> float:
        """10 ln 8 / (T + 20) of ten symbols, the mean over all steps."""
        return self.count * math.log(self.SYMBOLS) / self.steps(length)

    def _draw(self, key: Key, batch: int, length: int, dtype: jnp.dtype) -> Batch:
        symbols = integers(key, (self.count, batch), 0, self.SYMBOLS)
        blank, delimiter = self.SYMBOLS, self.SYMBOLS + 1

        def blanks(count: int) -> Array:
            return jnp.full((count, batch), blank, jnp.int32)

        mark = jnp.full((1, batch), delimiter, jnp.int32)
        inputs = jnp.concatenate([symbols, blanks(length - 1), mark, blanks(self.count)])
        targets = jnp.concatenate([blanks(length + self.count), symbols])
        xs = jax.nn.one_hot(inputs, self.features_in, dtype=dtype)
        return Batch(xs, targets, full(self.steps(length), batch))
