"""The biases that decide how long a gated cell remembers at the start of training."""

from __future__ import annotations

from numbers import Real
from typing import Any

import jax
from jax.typing import DTypeLike

from rnnlab import initializers
from rnnlab.arrays import Array, Key
from rnnlab.errors import UsageError
from rnnlab.sizes import LARGEST, as_integer


def check_forget_bias(value: Any) -> None:
    """Raises UsageError unless `value` is a finite number."""
    number: Any = value
    if not isinstance(value, Real) or not -LARGEST <= number <= LARGEST:
        raise UsageError(f"forget_bias={value!r}: must be a finite number")


def check_chrono(value: Any) -> int | None:
    """The value, None or a Python integer; UsageError unless it is None or above two."""
    if value is None:
        return None
    steps = as_integer(value)
    if steps is None or steps <= 2:
        raise UsageError(
            f"chrono={value!r}: must be None, or the longest dependency in steps, above 2"
        )
    return steps


def draw_chrono(key: Key, hidden: int, chrono: int, dtype: DTypeLike) -> Array:
    """Chrono biases `[H]` for the key of a cell's `init`; see `initializers.draw_chrono_bias`."""
    # Not 0 or 1, which are the keys of wx and wh: the weights are those drawn without chrono.
    return initializers.draw_chrono_bias(jax.random.fold_in(key, 2), hidden, chrono, dtype)
