"""Lines that ask a model about files: the name of a file, or JSON with more that can be asked."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar

from rnnlab.errors import UsageError

Request = TypeVar("Request")


def read_request(kind: type[Request], line: str, file: str) -> Request:
    """What a line asks for.

    Args:
        kind: a dataclass that checks the ranges of its fields; their types are those of the
            defaults.
        line: the name of a file, or JSON with fields of `kind`.
        file: the field that holds the name.

    Raises:
        UsageError: it is neither, or a field has a wrong value.
    """
    if not line.strip():
        raise UsageError("line: is empty; it must be the name of a file, or JSON")
    if not line.lstrip().startswith("{"):
        return kind(**{file: line.strip()})
    try:
        given = json.loads(line)
    except ValueError as error:
        raise UsageError(f"line: begins with {{ and is no JSON ({error})") from error
    known: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    strange = [name for name in given if name not in known]
    if strange:
        raise UsageError(f"line: has {strange[0]!r}; known are {', '.join(known)}")
    return kind(**{name: _typed(name, value, type(known[name])) for name, value in given.items()})


def _typed(name: str, value: Any, kind: type) -> Any:
    """A value of that type; an integer is a number, too."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        wanted = {str: "a text", int: "an integer", float: "a number", bool: "true or false"}[kind]
        raise UsageError(f"{name}={value!r}: must be {wanted}")
    return value
