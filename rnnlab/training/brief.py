"""How XLA compiles programs that run for seconds: in half the time, and a tenth slower ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import jax

#: Optimisations that pay only in long runs are left out. Names come and go with versions of XLA.
OPTIONS: dict[str, Any] = {
    "xla_backend_optimization_level": 1,
    "xla_cpu_use_fusion_emitters": False,
}


@cache
def options() -> dict[str, Any]:
    """Those of `OPTIONS` that this XLA knows, for `jax.jit(compiler_options=…)`."""
    return known(OPTIONS)


def known(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that this XLA knows."""
    return {name: value for name, value in options.items() if is_known(name, value)}


def is_known(name: str, value: Any) -> bool:
    """Whether this XLA knows an option."""
    compile_one = partial(jax.jit(lambda: 0).lower().compile, compiler_options={name: value})
    try:
        compile_one()
    except jax.errors.JaxRuntimeError:
        return False
    return True
