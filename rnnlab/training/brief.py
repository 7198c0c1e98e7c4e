"""Programs that run for seconds: less time to compile, more to run, numbers to rounding."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import jax

#: Passes of XLA that pay only in long runs. Names come and go with its versions.
OPTIONS: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}


@cache
def options() -> dict[str, Any]:
    """Those of `OPTIONS` that this XLA knows, for `jax.jit(compiler_options=…)`."""
    return {name: value for name, value in OPTIONS.items() if is_known(name, value)}


def is_known(name: str, value: Any) -> bool:
    """Whether this XLA knows an option."""
    compile_one = partial(jax.jit(lambda: 0).lower().compile, compiler_options={name: value})
    try:
        compile_one()
    except jax.errors.JaxRuntimeError:
        return False
    return True
