"""`jit` for programs that run a few times, whose compilation costs more than their running."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

#: LLVM's level 1 compiles two to seven times faster than its default, and what it compiles runs as
#: fast: the time is spent in matrix products, and in elementwise code that XLA vectorises itself.
CPU_OPTIONS: dict[str, Any] = {"xla_backend_optimization_level": 1}


def jit(function: Callable[..., Any], static_argnums: tuple[int, ...] = ()) -> Callable[..., Any]:
    """`jax.jit` with `CPU_OPTIONS` on the CPU; not to be called within another `jit`."""

    @functools.cache
    def compiled() -> Callable[..., Any]:
        options = CPU_OPTIONS if jax.default_backend() == "cpu" else None
        return jax.jit(function, static_argnums=static_argnums, compiler_options=options)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return compiled()(*args)

    return call
