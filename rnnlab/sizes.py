"""Sizes and counts as they are given: any integer, NumPy's too, becomes a Python integer.

And the limits of numbers.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from typing import Any

from rnnlab.errors import RunError, UsageError

#: The largest size; axes and counters have 32 bits.
MOST = 2**31 - 1
#: The largest number, that of float32: a larger one is infinite where networks are computed.
LARGEST = 3.4e38


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
    if isinstance(value, bool):  # NumPy's is no index
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def require_memory(shape: Sequence[int], itemsize: int = 4) -> None:
    """Raises RunError for an array that is larger than the memory of this machine.

    XLA would compile for long before it finds that out, or end the process.
    """
    gib = math.prod(map(int, shape)) * itemsize / 2**30
    if gib > machine_gib():
        raise RunError(
            f"out of memory: an array of shape {tuple(map(int, shape))} takes {in_gib(gib)}, and "
            f"this machine has {in_gib(machine_gib())}; choose fewer units"
        )


def machine_gib() -> float:
    """GiB of memory of this machine; infinite where the system does not tell."""
    if not hasattr(os, "sysconf"):
        return math.inf
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def in_gib(gib: float) -> str:
    """A size in words."""
    return f"{gib:,.3g} GiB" if gib < 1000 else f"{gib:,.0f} GiB"
