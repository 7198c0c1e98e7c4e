"""`jit` for tests of values: less time to compile, more to run, the same numbers to rounding."""

from __future__ import annotations

from typing import Any

import jax

from rnnlab.training.brief import OPTIONS, is_known
from rnnlab.training.brief import options as known_options

__all__ = ["OPTIONS", "is_known", "jit", "known_options"]


def jit(function: Any, **settings: Any) -> Any:
    """`jax.jit` with those of `OPTIONS` that this XLA knows."""
    return jax.jit(function, compiler_options=known_options(), **settings)
