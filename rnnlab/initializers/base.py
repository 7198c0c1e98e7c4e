"""What an initialiser is, and the checks of gain, shape and type that all of them share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Key
from rnnlab.errors import UsageError
from rnnlab.sizes import LARGEST, require_memory


class Initializer(Protocol):
    """Draws an array of a given shape and type from a key; equal keys give equal bits."""

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "..."]:
        """Returns the draw, an array of `shape` and `dtype`."""
        ...


def check_not_negative(name: str, value: object) -> None:
    """Raises UsageError unless the value is a number from 0 to the largest of float32."""
    try:
        number = float(value)  # type: ignore[arg-type]  of NumPy or JAX, too
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, str) or not 0 <= number <= LARGEST:
        raise UsageError(f"{name}={value!r}: must be a finite number, at least 0")


@dataclass(frozen=True)
class WithGain:
    """What initialisers with a gain share: the field, and its check.

    Raises:
        UsageError: `gain` is no number, negative, or not finite in float32.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        """Checks the gain."""
        check_not_negative("gain", self.gain)


def require_matrix(shape: Sequence[int]) -> tuple[int, int]:
    """Returns (fan_in, fan_out), or raises; also RunError where no memory would hold it."""
    if len(shape) != 2 or min(shape) < 1:
        raise UsageError(f"shape={tuple(shape)}: must be (fan_in, fan_out), both positive")
    require_memory(shape)
    return shape[0], shape[1]


def require_gate_blocks(shape: Sequence[int]) -> tuple[int, int]:
    """Returns (H, k) of a shape (H, kH), or raises."""
    hidden, columns = require_matrix(shape)
    if columns % hidden:
        raise UsageError(f"shape={tuple(shape)}: must be (H, k*H), a whole number of square blocks")
    return hidden, columns // hidden


def require_float(dtype: DTypeLike) -> np.dtype:
    """Returns a floating type that exists in the present mode, or raises."""
    wanted = jnp.dtype(dtype)
    if not jnp.issubdtype(wanted, jnp.floating):
        raise UsageError(f"dtype={wanted}: must be a floating type, such as float32")
    if jax.dtypes.canonicalize_dtype(wanted) != wanted:
        raise UsageError(f"dtype={wanted}: 64-bit types are off; set jax_enable_x64 or use float32")
    return wanted


def draw_dtype(dtype: DTypeLike) -> np.dtype:
    """Returns the type in which draws and measurements for `dtype` are made."""
    wide = jnp.float64 if require_float(dtype) == jnp.float64 else jnp.float32
    return jnp.dtype(wide)
