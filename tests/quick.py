"""`jit` for tests of values: less time to compile, more to run, the same numbers to rounding."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax

from rnnlab.training import brief

#: Passes of XLA that pay only in long runs. Names come and go with its versions.
OPTIONS: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}


def jit(function: Any, **settings: Any) -> Any:
    """`jax.jit` with those of `OPTIONS` that this XLA knows."""
    return jax.jit(function, compiler_options=known_options(), **settings)


@cache
def known_options() -> dict[str, Any]:
    return brief.known(OPTIONS)
