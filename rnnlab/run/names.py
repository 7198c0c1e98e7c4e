"""Readable names of work directories: what was run, what was changed, and a hash of everything.

    char_lm-tiny-hidden=8-learning_rate=0.01-1a2b3c4d

A name holds letters of ASCII, digits and `-._=+`, none of which a shell or a pattern treats
specially, and at most `LONGEST` of them.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rnnlab.run.fields import flatten, to_json

#: Characters of a name, of the experiment in it, and of a value in it.
LONGEST, LONGEST_EXPERIMENT, LONGEST_VALUE = 96, 40, 24


def of_run(experiment: str, config: Any, presets: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The name of a run, the same for the same configuration, whatever flags it was made of.

    It names the preset that differs from the configuration in the fewest fields, if one is nearer
    than the defaults, and then the fields that differ.

    Args:
        experiment: its name.
        config: its configuration, a dataclass whose fields all have defaults.
        presets: instances of the same class by name.
    """
    values = _texts(config)
    preset, changed = "", _differ(values, _texts(type(config)()))
    for name, instance in presets.items():
        nearer = _differ(values, _texts(instance))
        if len(nearer) < len(changed):
            preset, changed = name, nearer
    words = [safe(experiment)[:LONGEST_EXPERIMENT], *([safe(preset)] if preset else [])]
    flat = flatten(config)
    words += [f"{shortest(name, flat)}={value_text(flat[name])}" for name in changed]
    return joined(words, json.dumps([experiment, to_json(config)], sort_keys=True))


def joined(words: list[str], everything: str) -> str:
    """As many of the words as fit, and a hash of the text that says everything."""
    digest = hashlib.sha256(everything.encode()).hexdigest()[:8]
    room = LONGEST - len(digest) - len("-+99_more-")
    kept = list(words)
    while len("-".join(kept)) > room and len(kept) > 1:
        kept.pop()
    left_out = len(words) - len(kept)
    return "-".join([*kept, *([f"+{left_out}_more"] if left_out else []), digest])


def shortest(name: str, names: Mapping[str, Any]) -> str:
    """The last part of a dotted name where no other name ends so, else all of it."""
    last = name.rpartition(".")[2]
    return last if sum(other.rpartition(".")[2] == last for other in names) == 1 else name


def value_text(value: Any) -> str:
    """A value in a name: of a path its last part, of a list its entries with `+` between them."""
    if isinstance(value, tuple | list):
        return "+".join(map(value_text, value))[:LONGEST_VALUE]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return safe(re.split(r"[/\\]", text.rstrip("/\\"))[-1])[:LONGEST_VALUE]


def safe(text: str) -> str:
    """The text with other characters than a name may hold as `_`."""
    return re.sub(r"[^A-Za-z0-9._=+-]+", "_", text)


def _texts(config: Any) -> dict[str, str]:
    # Compared as text: nan equals itself there, and 1 is not 1.0.
    return {name: json.dumps(value) for name, value in flatten(config).items()}


def _differ(values: dict[str, str], base: dict[str, str]) -> list[str]:
    return [name for name, value in values.items() if base.get(name) != value]
