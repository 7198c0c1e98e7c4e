"""A laboratory for recurrent networks in JAX: how gradients flow through time."""

import importlib
from typing import Any

__version__ = "0.1.0"

#: Names of the package by the module that defines them, which is imported when one is asked for.
_LAZY = {"load": "rnnlab.trained"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
