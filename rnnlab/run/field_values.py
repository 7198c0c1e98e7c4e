"""The text of a field's flag as its value, with an error that says what is wanted."""

from __future__ import annotations

import typing
from typing import Any

from absl import flags
from ml_collections import config_flags


class _FieldParser(flags.ArgumentParser):
    """Text to a scalar or a tuple, with an error that says what is wanted."""

    def __init__(self, field_type: Any):
        self._element = typing.get_args(field_type)[0] if typing.get_args(field_type) else None
        self._scalar = field_type

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):  # the default, already of its type
            return argument
        if self._element is None:
            return _scalar(self._scalar, argument)
        text = argument.strip()
        if text[:1] + text[-1:] in ("()", "[]"):
            text = text[1:-1]
        words = [word.strip().strip("'\"") for word in text.split(",")]
        if words[-1] == "":  # "", "()" and "(1,)"
            words.pop()
        return tuple(_scalar(self._element, word) for word in words)


_SCALARS: dict[type, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a word",
}


def _scalar(scalar_type: type, text: str) -> Any:
    try:
        if scalar_type is bool:
            return flags.BooleanParser().parse(text)
        value = scalar_type(text)
    except ValueError as error:
        found = "" if text else " (found nothing)"
        several = f"; for a run with each of these write --each.FIELD={text}" if "," in text else ""
        raise ValueError(f"must be {_SCALARS[scalar_type]}{found}{several}") from error
    if scalar_type is int and abs(value) >= 2**63:
        raise ValueError("must be an integer of at most 64 bits")
    return value


def register_parsers() -> None:
    """Has the flags of all types of fields read by this module."""
    for scalar in _SCALARS:
        for field_type in (scalar, tuple[scalar, ...]):
            config_flags.register_flag_parser_for_type(field_type, _FieldParser(field_type))
