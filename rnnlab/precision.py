"""In which precision products of float32 are computed: in float32, unless something else is asked.

Left to themselves GPUs shorten the factors of such a product to 10 bits (TF32) and TPUs to 7
(bfloat16). What is measured then is not the network that is described. Experiments set the
precision from `--config.precision`, and what measures by itself, in a script or a notebook, takes
float32 unless `jax_default_matmul_precision` says otherwise. CPUs compute in float32 always.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import jax

#: JAX's names of the precisions that can be asked for: `fast` is what the device prefers.
PRECISIONS = {"float32": "highest", "fast": "default"}


def use(name: str) -> None:
    """Sets the precision of all products of float32 in this process, one of `PRECISIONS`."""
    jax.config.update("jax_default_matmul_precision", PRECISIONS[name])


def in_use() -> str:
    """The precision that is set; where it is `not set`, measurements take float32 all the same."""
    setting = _setting()
    names = {value: name for name, value in PRECISIONS.items()}
    return "not set" if setting is None else names.get(setting, setting)


def products() -> AbstractContextManager[Any]:
    """A context for products of float32 in the precision that is set, or in float32."""
    if _setting() is None:
        return jax.default_matmul_precision(PRECISIONS["float32"])
    return contextlib.nullcontext()


def _setting() -> str | None:
    return getattr(jax.config, "jax_default_matmul_precision")  # noqa: B009, as no stub knows it
