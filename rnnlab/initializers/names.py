"""Initialisers by name, and what may stand for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnlab.errors import UsageError
from rnnlab.initializers.base import Initializer
from rnnlab.initializers.distributions import Gaussian, Uniform
from rnnlab.initializers.orthogonal import Identity, Orthogonal

#: Initialisers that a flag can name, each made from its gain.
INITIALIZERS: dict[str, Callable[[float], Initializer]] = {
    "orthogonal": Orthogonal,
    "identity": Identity,
    "gaussian": Gaussian,
    "uniform": Uniform,
}


def by_name(name: str, gain: float = 1.0) -> Initializer:
    """Returns the initialiser called `name` in `INITIALIZERS`, with this gain.

    Raises:
        UsageError: an unknown name, or a gain that is negative or not finite.
    """
    if name not in INITIALIZERS:
        raise UsageError(f"init={name!r}: unknown initialiser; known: {', '.join(INITIALIZERS)}")
    return INITIALIZERS[name](gain)


def as_initializer(argument: str, value: Any) -> Initializer:
    """The initialiser of that name, or the value itself where it is one, or a function like one.

    Args:
        argument: what errors call it.
        value: a name, an initialiser, or a function `(key, shape, dtype) -> array`.

    Raises:
        UsageError: anything else.
    """
    if isinstance(value, str) and value in INITIALIZERS:
        return INITIALIZERS[value](1.0)
    if callable(value) and not isinstance(value, type):
        function: Any = value
        return function
    raise UsageError(
        f"{argument}={value!r}: must be one of {', '.join(INITIALIZERS)}, an initialiser such as "
        "Orthogonal(), or a function (key, shape, dtype) -> array"
    )
