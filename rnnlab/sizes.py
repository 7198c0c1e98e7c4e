"""Sizes and counts as they are given: any integer, NumPy's too, becomes a Python integer."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from rnnlab.errors import UsageError

#: The largest size; axes and counters have 32 bits.
MOST = 2**31 - 1


def check_positive(name: str, value: Any) -> int:
    """The value as a Python integer; UsageError unless it is a positive one."""
    return check_at_least(name, value, 1)


def check_at_least(name: str, value: Any, least: int) -> int:
    """The value as a Python integer; UsageError unless it is one of `least` to 2^31 - 1."""
    number = as_integer(value)
    if number is None or number < least:
        wanted = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise UsageError(f"{name}={value!r}: must be {wanted}")
    if number > MOST:
        raise UsageError(f"{name}={value!r}: must be at most {MOST}")
    return number


def as_integer(value: Any) -> int | None:
    """An integer of Python, NumPy or JAX as one of Python; None for anything else, booleans too."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
