"""Which strategies run a layer on the device at hand, and the refusal that lists them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax

from rnnlab.cells.lstm import LSTM
from rnnlab.errors import UsageError


def default_device() -> Any:
    """The device on which programs run where nothing else is said."""
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    if chosen is None or isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return chosen


def on_cuda() -> bool:
    """Whether that device is a GPU with CUDA."""
    return "cuda" in default_device().client.platform_version.lower()


#: What each strategy needs of a cell and of the device, by the name that flags use.
CONDITIONS: dict[str, Callable[[Any], bool]] = {
    "autodiff": lambda cell: True,
    "hoisted": lambda cell: True,
    "rematerialised": lambda cell: True,
    "split": lambda cell: True,
    "cudnn": lambda cell: type(cell) is LSTM and on_cuda(),
    "auto": lambda cell: True,
}


def supported(layer: Any) -> tuple[str, ...]:
    """Names of the strategies that run a cell, or all cells of a combinator, on this device.

    `cudnn` may still refuse a dtype or resets, which belong to a call and not to the layer.
    """
    cells = list(_cells(layer))
    return tuple(name for name, runs in CONDITIONS.items() if all(map(runs, cells)))


def refusal(strategy: str, reason: str, layer: Any) -> UsageError:
    """The error of a strategy that cannot run a layer; lists the others, which can."""
    others = ", ".join(name for name in supported(layer) if name != strategy)
    return UsageError(f"strategy={strategy!r}: {reason}; use one of {others}")


def _cells(layer: Any) -> Iterator[Any]:
    """The cells of a layer: of a combinator those in its fields, else the layer itself."""
    if not hasattr(layer, "compose"):
        yield layer
        return
    fields = [getattr(layer, field.name) for field in dataclasses.fields(layer)]
    for part in jax.tree.leaves(fields):
        if hasattr(part, "init"):
            yield from _cells(part)
