"""`jit` for programs that run a few times, whose compilation costs more than their running."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import jax

#: LLVM's level 1 compiles two to seven times faster than its default, and the older emitters of
#: elementwise loops almost twice as fast as the newer. What they compile runs as fast, since the
#: time is spent in matrix products, and in elementwise code that XLA vectorises itself.
CPU_OPTIONS: dict[str, Any] = {
    "xla_backend_optimization_level": 1,
    "xla_cpu_use_fusion_emitters": False,
}


def jit(function: Callable[..., Any], static_argnums: tuple[int, ...] = ()) -> Quick:
    """`jax.jit` with `CPU_OPTIONS` on the CPU; not to be called within another `jit`."""
    return Quick(function, static_argnums)


class Quick:
    """A jitted function whose options are chosen when it is first called."""

    def __init__(self, function: Callable[..., Any], static_argnums: tuple[int, ...]) -> None:
        functools.update_wrapper(self, function)
        self._function, self._static_argnums = function, static_argnums

    @functools.cached_property
    def _jitted(self) -> Any:
        return jax.jit(
            self._function, static_argnums=self._static_argnums, compiler_options=_options()
        )

    def __call__(self, *args: Any) -> Any:
        """Calls the function."""
        return self._jitted(*args)

    def lower(self, *args: Any) -> jax.stages.Lowered:
        """As that of a jitted function; a program compiled from it is found by calls."""
        return self._jitted.lower(*args)


@functools.cache
def _options() -> dict[str, Any]:
    """Those of `CPU_OPTIONS` that the installed XLA knows; none on another device."""
    known = {}
    if jax.default_backend() == "cpu":
        for name, value in CPU_OPTIONS.items():
            with contextlib.suppress(jax.errors.JaxRuntimeError):
                jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
                known[name] = value
    return known
