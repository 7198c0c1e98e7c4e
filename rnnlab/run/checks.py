"""Checks of the fields of a configuration, each with an error of one line that names the field.

Call them from `__post_init__`:

    @dataclasses.dataclass(frozen=True)
    class Config:
        hidden: int = 64
        radii: tuple[float, ...] = (0.9, 1.1)

        def __post_init__(self) -> None:
            checks.at_least(self, hidden=1)
            checks.positive(self, "radii")

A check of numbers takes a field that holds one number or a tuple of them.
"""

import math
from collections.abc import Callable, Collection

from rnnlab.errors import UsageError
from rnnlab.run.registry import unknown
from rnnlab.sizes import LARGEST

#: The largest count and the largest seed, which JAX and grain keep in 32 bits.
MOST, LARGEST_SEED = 2**31 - 1, 2**32 - 1


def at_least(config: object, **least: float) -> None:
    """Checks that each number of the fields named in `least` has at least the value given there.

    Integers are counts, and have 32 bits.
    """
    for name, bound in least.items():
        values = _values(config, name)
        _require(config, name, all(value >= bound for value in values), bound)
        counts = [value for value in values if isinstance(value, int)]
        _require(config, name, all(value <= MOST for value in counts), f"at most {MOST}")


def seed(config: object, *names: str) -> None:
    """Checks that each number is a seed: an integer of 32 bits, not negative."""
    for name in names:
        good = all(0 <= value <= LARGEST_SEED for value in _values(config, name))
        _require(config, name, good, f"within 0 .. {LARGEST_SEED}")


def positive(config: object, *names: str) -> None:
    """Checks that each number is positive and finite, also in float32."""
    finite(config, *names, wanted="positive and finite")
    for name in names:
        good = all(value > 0 for value in _values(config, name))
        _require(config, name, good, "positive and finite")


def non_negative(config: object, *names: str) -> None:
    """Checks that each number is finite, also in float32, and at least 0."""
    finite(config, *names, wanted="finite and at least 0")
    for name in names:
        good = all(value >= 0 for value in _values(config, name))
        _require(config, name, good, "finite and at least 0")


def finite(config: object, *names: str, wanted: str = "finite") -> None:
    """Checks that each number is finite, also in float32; `wanted` is what the error asks for."""
    for name in names:
        values = _values(config, name)
        _require(config, name, all(map(math.isfinite, values)), wanted)
        good = all(abs(value) <= LARGEST for value in values)
        _require(config, name, good, f"at most {LARGEST:g}, the largest number of float32")


def increasing(config: object, *names: str) -> None:
    """Checks that a tuple holds at least one number, and each is larger than the one before."""
    for name in names:
        values = getattr(config, name)
        good = bool(values) and list(values) == sorted(set(values))
        _require(config, name, good, "at least one value, increasing")


def distinct(config: object, *names: str) -> None:
    """Checks that no value occurs twice in a tuple."""
    for name in names:
        values = getattr(config, name)
        _require(config, name, len(set(values)) == len(values), "without repetition")


def not_empty(config: object, *names: str) -> None:
    """Checks that a tuple holds at least one value."""
    for name in names:
        _require(config, name, bool(getattr(config, name)), "at least one value")


def one_of(config: object, name: str, choices: Collection[str]) -> None:
    """Checks a word that has a few possible values, all of which the error names."""
    _require(config, name, getattr(config, name) in choices, " or ".join(choices))


def known(
    config: object,
    name: str,
    kind: str,
    names: Collection[str],
    own: Callable[[str], object] | None = None,
) -> None:
    """Checks that a word, or each word of a tuple, is one of `names`; else suggests the nearest.

    Args:
        config: the configuration.
        name: of its field.
        kind: what the words name, such as "cell".
        names: the words that exist.
        own: looks up a word of the form `MODULE:NAME`, by which users name things of their own;
            its UsageError names `kind`, which becomes `name`.
    """
    for word in _values(config, name):
        if own is not None and ":" in str(word):
            try:
                own(word)
            except UsageError as error:
                raise UsageError(str(error).replace(f"{kind}=", f"{name}=", 1)) from error
        elif word not in names:
            raise unknown(f"{name}={word}", kind, word, names)


def _values(config: object, name: str) -> tuple:
    value = getattr(config, name)
    return value if isinstance(value, tuple) else (value,)


def _require(config: object, name: str, good: bool, wanted: float | str) -> None:
    if not good:
        wanted = wanted if isinstance(wanted, str) else f"at least {wanted:g}"
        raise UsageError(f"{name}={getattr(config, name)}: must be {wanted}")
