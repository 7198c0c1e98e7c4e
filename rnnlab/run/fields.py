"""The fields of a configuration: a frozen dataclass that may hold other ones.

A field of a nested dataclass has a dotted name, `training.learning_rate`. It is documented by the
`#:` comment lines directly above it:

    @dataclasses.dataclass(frozen=True)
    class Config:
        #: Hidden units of the network.
        hidden: int = 64
"""

import ast
import dataclasses
import inspect
import json
import textwrap
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

C = TypeVar("C")


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a configuration.

    Attributes:
        name: its name; of a nested field, dotted.
        type: its type as its source writes it.
        default: the value it has in `Config()`.
        doc: its documentation, one paragraph.
    """

    name: str
    type: str
    default: Any
    doc: str


def fields(config: Any, prefix: str = "") -> tuple[Field, ...]:
    """All fields of an instance, those of nested dataclasses under their dotted names."""
    found: list[Field] = []
    types = typing.get_type_hints(type(config))
    for name, value in _shallow(config):
        if dataclasses.is_dataclass(value):
            found += fields(value, f"{prefix}{name}.")
        else:
            doc = _doc(type(config), name)
            found.append(Field(prefix + name, _type_text(types[name]), value, doc))
    return tuple(found)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """The values of all fields by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in _shallow(config):
        if dataclasses.is_dataclass(value):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def flatten_json(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The same for what `to_json` returns."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flatten_json(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as the plain values that JSON holds: tuples are lists, nested ones dicts."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def draft(config: Any) -> Any:
    """A mutable copy of a frozen dataclass, nested ones included, for flags to write to.

    It has the same fields but runs no `__post_init__`: the real class checks its values once, when
    `finished` builds it from the final ones.
    """
    types = typing.get_type_hints(type(config))
    made = []
    for name, value in _shallow(config):
        if dataclasses.is_dataclass(value):
            nested = draft(value)
            made.append((name, type(nested), dataclasses.field(default_factory=lambda n=nested: n)))
        else:
            made.append((name, types[name], dataclasses.field(default=value)))
    return dataclasses.make_dataclass(type(config).__name__, made)()


def finished(original: C, written: Any) -> C:
    """An instance of the class of `original` with the values of its draft.

    Raises:
        UsageError: if a class refuses its values.
    """
    values = {
        name: finished(value, getattr(written, name))
        if dataclasses.is_dataclass(value)
        else getattr(written, name)
        for name, value in _shallow(original)
    }
    return type(original)(**values)


def _shallow(config: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of the fields that a constructor takes."""
    for field in dataclasses.fields(config):
        if field.init:
            yield field.name, getattr(config, field.name)


def _type_text(field_type: Any) -> str:
    return field_type.__name__ if type(field_type) is type else str(field_type)


def _doc(config_class: type, name: str) -> str:
    """The documentation of a field where it is written, in the class or in one it inherits from."""
    docs = (
        _docs(each).get(name) for each in config_class.__mro__ if dataclasses.is_dataclass(each)
    )
    return next(filter(None, docs), "")


def _docs(config_class: type) -> dict[str, str]:
    """The documentation of the fields that a class itself lists."""
    try:
        source = textwrap.dedent(inspect.getsource(config_class))
    except OSError:  # a class without a source file
        return {}
    lines = source.split("\n")  # as `ast` counts them: `splitlines` ends lines at more
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    return {
        node.target.id: _comment_above(lines, node.lineno - 1)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _comment_above(lines: list[str], index: int) -> str:
    """The `#:` lines that end directly above `lines[index]`, joined to one paragraph."""
    doc: list[str] = []
    while index > 0 and (line := lines[index - 1].strip()).startswith("#:"):
        doc.insert(0, line.removeprefix("#:").strip())
        index -= 1
    return " ".join(doc)
