"""Checks of arguments, shared by the theory: each returns float64 or raises one clear line."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnlab.errors import UsageError

Floats = NDArray[np.float64]


def real(name: str, value: ArrayLike) -> Floats:
    """`value` as float64, any finite number."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{name}={value!r}: must be a number or an array of numbers") from None
    return _require(name, array, np.isfinite(array), "a finite number")


def positive(name: str, value: ArrayLike) -> Floats:
    """`value` as float64, finite and above zero."""
    array = real(name, value)
    return _require(name, array, array > 0, "positive")


def non_negative(name: str, value: ArrayLike) -> Floats:
    """`value` as float64, finite and at least zero."""
    array = real(name, value)
    return _require(name, array, array >= 0, "zero or positive")


def count(name: str, value: ArrayLike, least: int = 0) -> Floats:
    """`value` as float64, integers of at least `least`."""
    array = real(name, value)
    wanted = f"an integer of at least {least}"
    return _require(name, array, (array >= least) & (array == np.floor(array)), wanted)


def single_count(name: str, value: ArrayLike, least: int = 0) -> int:
    """`value` as one Python integer of at least `least`."""
    array = count(name, value, least)
    if array.ndim:
        raise UsageError(f"{name}: one integer is wanted, not an array of shape {array.shape}")
    return int(array)


def modulus(name: str, value: ArrayLike) -> Floats:
    """|`value`| as float64, of finite real or complex numbers."""
    try:
        array = np.abs(np.asarray(value, np.complex128))
    except (TypeError, ValueError):
        raise UsageError(f"{name}={value!r}: must be a number or an array of numbers") from None
    return _require(name, array, np.isfinite(array), "a finite number")


def one_of(name: str, value: str, known: Iterable[str]) -> str:
    """`value` if it is one of the `known` names."""
    names = sorted(known)
    if value not in names:
        raise UsageError(f"{name}={value!r}: must be one of {', '.join(names)}")
    return value


def _require(name: str, array: Floats, valid: NDArray[np.bool_], wanted: str) -> Floats:
    if not np.all(valid):
        first = array[~valid].flat[0]
        raise UsageError(f"{name}={first:g}: must be {wanted}")
    return array
