"""Settings by flags, for experiments that have no presets yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


def with_setting(config: Any, **settings: Mapping[str, Any]) -> Any:
    """The configuration with the values of the setting that it asks for by the flag of that name.

    Fields that hold another value than their default keep it.
    """
    for flag, values in settings.items():
        if getattr(config, flag):
            default = type(config)()
            free = {k: v for k, v in values.items() if getattr(config, k) == getattr(default, k)}
            return dataclasses.replace(config, **{flag: False}, **free)
    return config
