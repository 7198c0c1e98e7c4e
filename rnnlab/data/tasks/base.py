"""What a generated task is: a pure sampler on the device, and what its targets are.

A task is a frozen dataclass. `sample(key, batch, length)` is pure and can be compiled (with `batch`
and `length` static), mapped over keys with `vmap`, and called inside a scan of training steps.

The baseline of a task is the expected loss of the best answer that does not look at the inputs, or
at nothing but the time. It is exact, and a network that has learned something is below it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Int, Key
from rnnlab.errors import UsageError
from rnnlab.sizes import MOST, as_integer, check_positive


class Batch(NamedTuple):
    """`B` sequences of a task, time first.

    Attributes:
        xs: inputs `[steps, B, D]`, for the `task.steps(length)` steps of a padded sequence.
        targets: classes, int32 `[B]` where the last step answers and `[steps, B]` where every step
            does; or numbers `[B]`.
        lengths: steps of each sequence, int32 `[B]`.
    """

    xs: Float[Array, "steps B D"]
    targets: Int[Array, "*steps B"] | Float[Array, "B"]
    lengths: Int[Array, "B"]


@dataclasses.dataclass(frozen=True)
class Task:
    """A task; a subclass says which, with its source.

    Attributes:
        features_in: inputs D of a step.
        classes: number of classes of an answer, or 0 where the answer is a number.
        every_step: whether every step answers, or only the last of each sequence.
        shortest: smallest `length` for which the task is defined.
    """

    features_in: ClassVar[int]
    shortest: ClassVar[int]

    @property
    def classes(self) -> int:
        """Number of classes of an answer, or 0 where it is a number."""
        raise NotImplementedError

    @property
    def features_out(self) -> int:
        """Outputs that a network needs for an answer."""
        return max(self.classes, 1)

    @property
    def every_step(self) -> bool:
        """Whether every step answers, or only the last of each sequence."""
        return False

    @property
    def varied(self) -> bool:
        """Whether the sequences of a batch differ in length."""
        return False

    def steps(self, length: int) -> int:
        """Steps of a sequence with the parameter `length`, as the literature counts T."""
        return self.check(length)

    def baseline(self, length: int) -> float:
        """Loss of the best answer without learning: nats of a class, or a mean squared error."""
        self.check(length)
        return math.log(self.classes)

    def sample(self, key: Key, batch: int, length: int, dtype: DTypeLike = jnp.float32) -> Batch:
        """Draws `batch` independent sequences; the same key gives the same ones.

        Args:
            key: random key.
            batch: number of sequences B.
            length: T of the task.
            dtype: floating type of the inputs, and of targets that are numbers.

        Raises:
            UsageError: a length for which the task is not defined, or a batch below 1.
        """
        length, batch = self.check(length), check_positive("batch", batch)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise UsageError(f"dtype={jnp.dtype(dtype)}: must be a floating type, such as float32")
        return self._draw(key, batch, length, jnp.dtype(dtype))

    def check(self, length: int) -> int:
        """The length as a Python integer; UsageError where the task is not defined for it."""
        steps = as_integer(length)
        if steps is None or not self.shortest <= steps <= MOST:
            raise UsageError(
                f"length={length!r}: {type(self).__name__} needs an integer of at least "
                f"{self.shortest}" + f" and at most {MOST}" * (steps is not None and steps > MOST)
            )
        return steps

    def _draw(self, key: Key, batch: int, length: int, dtype: jnp.dtype) -> Batch:
        raise NotImplementedError


def full(steps: int, batch: int) -> Int[Array, "B"]:
    """The lengths of sequences that all have `steps` steps, int32 `[B]`."""
    return jnp.full((batch,), steps, jnp.int32)


def integers(key: Key, shape: tuple[int, ...], low: int, high: int) -> Int[Array, "..."]:
    """Independent uniform integers from `low` to `high - 1`, int32."""
    return jax.random.randint(key, shape, low, high, jnp.int32)
