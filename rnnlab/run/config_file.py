"""`--config-file=PATH`: the configuration of an earlier run, or a part of one, as a JSON file.

The file is the `config.json` of a work directory, or an object with some fields:

    {"network": {"hidden": 64}, "training.learning_rate": 0.01, "seed": 3}

Its fields win over the preset, and fields on the command line win over the file. A field may have
its full name, nested or dotted, or the short name that flags take.
"""

import dataclasses
import json
import os
import pathlib
import typing
from collections.abc import Callable
from typing import Any

from rnnlab.errors import UsageError
from rnnlab.run.fields import flatten_json
from rnnlab.run.identity import FILE


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """What a file says.

    Attributes:
        path: of the file.
        experiment: whose configuration it is; None where the file does not say.
        values: of fields, by their names as written, nested ones dotted.
    """

    path: pathlib.Path
    experiment: str | None
    values: dict[str, Any]

    @property
    def flag(self) -> str:
        """How messages name the file."""
        return f"--config-file={self.path}"

    def write_to(self, draft: Any, base: Any, full_name: Callable[[str, str], str]) -> None:
        """Puts the values into the draft of a configuration.

        Args:
            draft: of `fields.draft`.
            base: the configuration that it is a draft of.
            full_name: of the flag, for messages, and the name of a field as written, to the full
                name of the field.

        Raises:
            UsageError: a field that does not exist or is there twice, or a value of another type.
        """
        types, seen = _types(base), set()
        for written, value in self.values.items():
            name = full_name(f"{self.flag}: {written}", written)
            if name in seen:
                raise UsageError(f"{self.flag}: sets {name} twice; leave one of them")
            seen.add(name)
            *outer, last = name.split(".")
            place = draft
            for part in outer:
                place = getattr(place, part)
            setattr(place, last, self._converted(name, value, types[name]))

    def _converted(self, name: str, value: Any, field_type: Any) -> Any:
        """A JSON value as the type of its field."""
        elements = typing.get_args(field_type)
        wanted = elements[0] if elements else field_type
        values = value if elements else [value]
        if isinstance(values, list) and all(_fits(each, wanted) for each in values):
            self._check_range(name, values)
            converted = tuple(wanted(each) for each in values)
            return converted if elements else converted[0]
        kind = f"a list, of {_KINDS[wanted][1]}" if elements else _KINDS[wanted][0]
        raise UsageError(f"{self.flag}: {name}={json.dumps(value)}: must be {kind}")

    def _check_range(self, name: str, values: list[Any]) -> None:
        """Refuses integers that no field can hold; JSON has no limit."""
        if any(isinstance(each, int) and abs(each) >= 2**63 for each in values):
            raise UsageError(f"{self.flag}: {name}: must be of at most 64 bits")


def read(path: str) -> ConfigFile:
    """Reads a file, or the `config.json` of a work directory.

    Raises:
        UsageError: if there is none, or it is no JSON object.
    """
    place = pathlib.Path(os.path.expanduser(path))
    try:
        if place.is_dir():
            place /= FILE
        contents = json.loads(place.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        within = f": it holds no {FILE}" if place.parent.is_dir() and place.name == FILE else ""
        raise UsageError(f"--config-file={path}: {error.strerror}{within}") from error
    except OSError as error:
        raise UsageError(f"--config-file={path}: {error.strerror}") from error
    except RecursionError as error:
        raise UsageError(f"--config-file={path}: is nested too deeply") from error
    except ValueError as error:
        raise UsageError(f"--config-file={path}: is not JSON ({error})") from error
    if not isinstance(contents, dict):
        raise UsageError(f"--config-file={path}: must hold a JSON object, with fields by name")
    recorded = contents.get("config")
    if not isinstance(recorded, dict):
        return ConfigFile(place, None, flatten_json(contents))
    experiment = contents.get("experiment")
    return ConfigFile(place, str(experiment) if experiment else None, flatten_json(recorded))


_KINDS: dict[type, tuple[str, str]] = {
    int: ("an integer", "integers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true and false"),
    str: ("a word", "words"),
}


def _fits(value: Any, wanted: type) -> bool:
    """Whether a JSON value is of the type; an integer is a number, but true and false are not."""
    if isinstance(value, bool) or wanted is bool:
        return isinstance(value, bool) and wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def _types(config: Any, prefix: str = "") -> dict[str, Any]:
    """The types of all fields by their dotted names."""
    hints, found = typing.get_type_hints(type(config)), {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            found |= _types(value, f"{prefix}{field.name}.")
        elif field.init:
            found[prefix + field.name] = hints[field.name]
    return found
