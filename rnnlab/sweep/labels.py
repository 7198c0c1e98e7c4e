"""Names of cells and initialisers that are given as objects: short for readers, full for files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnlab.cells import CELLS
from rnnlab.initializers import INITIALIZERS

#: Units of the cells that stand for a factory when it is described.
UNITS = 1


def label(value: Any) -> Any:
    """The short name of a value: a number or text as it is, `lstm(forget_bias=2)` for an object.

    A dataclass is called as flags call it, if they do, and otherwise after its class; behind that
    are the fields that differ. The number of units is left out: it is an axis of its own.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, functools.partial) or not dataclasses.is_dataclass(value):
        return _plain_name(value)
    base, fields = min(_namings(value), key=lambda naming: len(naming[1]))
    inside = ", ".join(f"{name}={_short(field)}" for name, field in fields.items())
    return f"{base}({inside})" if inside else base


def description(value: Any) -> str:
    """All that tells an object from others, the same in every process.

    That is its class with all fields, or the name of a function; and, where it is not of this
    library, a mark of the source, so that a changed cell is another cell.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(map(description, value))})"
    if isinstance(value, Mapping):
        inside = (f"{name}: {description(field)}" for name, field in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, functools.partial):
        settings = {str(place): each for place, each in enumerate(value.args)} | value.keywords
        return f"{description(value.func)}{_arguments(settings)}"
    if hasattr(value, "__qualname__"):  # classes and functions, not their instances
        return _full_name(value)
    if hasattr(value, "tobytes"):
        return f"array {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if dataclasses.is_dataclass(value):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    else:
        fields = getattr(value, "__dict__", {})
    return f"{_full_name(type(value))}{_arguments(fields)}"


def _arguments(fields: Mapping[str, Any]) -> str:
    return f"({', '.join(f'{name}={description(field)}' for name, field in fields.items())})"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(label(value))


def _plain_name(value: Any) -> str:
    """The name of a function, of a class, or of the class of anything else."""
    if isinstance(value, functools.partial):
        inside = [
            *map(_short, value.args),
            *(f"{k}={_short(v)}" for k, v in value.keywords.items()),
        ]
        return f"{_plain_name(value.func)}({', '.join(inside)})"
    return getattr(value, "__name__", type(value).__name__)


def _namings(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names that a dataclass may go by, each with the fields in which it differs from that."""
    for name, usual in _usual(type(value), getattr(value, "hidden", UNITS)):
        yield name, _differences(value, usual)
    bare = {
        each.name: each.default
        for each in dataclasses.fields(value)
        if each.default is not dataclasses.MISSING
    }
    yield type(value).__name__, _differences(value, bare)


def _usual(kind: type, units: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What flags call the instances of a class, each with the fields it has then."""
    named: list[tuple[str, Any, Any]] = [(*each, units) for each in CELLS.items()]
    named += [(*each, 1.0) for each in INITIALIZERS.items()]
    for name, factory, argument in named:
        if (factory.func if isinstance(factory, functools.partial) else factory) is kind:
            usual = factory(argument)
            yield name, {f.name: getattr(usual, f.name) for f in dataclasses.fields(usual)}


def _differences(value: Any, usual: Mapping[str, Any]) -> dict[str, Any]:
    own = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name != "hidden"}
    return {k: v for k, v in own.items() if k not in usual or not _equal(usual[k], v)}


def _equal(a: Any, b: Any) -> bool:
    return a is b or bool(np.all(a == b))


def _full_name(value: Any) -> str:
    """Module and name of a class or function, with a mark of its source if it is not ours."""
    module = getattr(value, "__module__", None) or type(value).__module__
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{module}.{name}{_mark(value, module)}"


def _mark(value: Any, module: str) -> str:
    if module.partition(".")[0] in ("rnnlab", "jax", "builtins", "numpy"):
        return ""
    try:
        source = inspect.getsource(value)
    except (OSError, TypeError):  # no file, as in a session
        return ""
    return f"#{hashlib.sha256(source.encode()).hexdigest()[:12]}"
