"""Spectral radius and singular values of what was drawn, and draws rescaled to a radius."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Float, Key
from rnnlab.errors import UsageError
from rnnlab.initializers.base import Initializer, draw_dtype, require_gate_blocks
from rnnlab.initializers.gate_blocks import gate_blocks
from rnnlab.initializers.names import as_initializer
from rnnlab.sizes import LARGEST


@dataclass(frozen=True)
class Rescaled:
    """A draw from `base` whose H × H blocks are rescaled to a *measured* spectral radius.

    Each block w_j of `[H, kH]` becomes w_j · radius_j / ρ(w_j), with ρ measured from the
    eigenvalues of this very draw: exact for every H and seed, where a gain is met only on average
    and only as H grows. The result is rounded to `dtype` last.

    Attributes:
        base: any initialiser, or its name; its own gain cancels.
        radius: the spectral radius of every block, or a tuple with one for each block.

    Raises:
        UsageError: a radius that is not positive and finite; fan_out not a multiple of fan_in; a
            block whose measured ρ is 0, as a nilpotent matrix has. Inside `jit` or `vmap` that last
            case cannot raise and returns NaN or inf.
    """

    base: Initializer | str
    radius: float | tuple[float, ...]

    def __post_init__(self) -> None:
        """Looks up a name, and checks the radii."""
        object.__setattr__(self, "base", as_initializer("base", self.base))
        _require_radius(self.radius)

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "H k*H"]:
        """Returns w `[H, kH]`."""
        require_gate_blocks(shape)
        draw = as_initializer("base", self.base)(key, shape, draw_dtype(dtype))
        return rescale_to_radius(draw, self.radius).astype(dtype)


def spectral_radius(w: ArrayLike) -> Float[Array, "..."]:
    """Returns ρ(w) = max_i |λ_i(w)|, for `[..., H, H]` the shape `[...]`.

    Measured in float64 for float64 and in float32 otherwise. Gate by gate for `[..., H, kH]`:
    `spectral_radius(gate_blocks(w))`, of shape `[..., k]`.

    Raises:
        UsageError: the last two axes differ, or the type is not a floating one.
    """
    w = _measured(w)
    if w.shape[-2] != w.shape[-1]:
        raise UsageError(
            f"w.shape={w.shape}: only square matrices have eigenvalues; "
            "use gate_blocks(w) for the [H, kH] of a gated cell"
        )
    return jnp.max(jnp.abs(jnp.linalg.eigvals(w)), axis=-1)


def singular_values(w: ArrayLike) -> Float[Array, "... min(M,N)"]:
    """Returns the singular values of `[..., M, N]` in descending order, `[..., min(M, N)]`.

    The first is σ_max. Measured in float64 for float64 and in float32 otherwise.

    Raises:
        UsageError: fewer than two axes, or the type is not a floating one.
    """
    return jnp.linalg.svd(_measured(w), compute_uv=False)


def rescale_to_radius(
    w: ArrayLike, radius: ArrayLike | tuple[float, ...]
) -> Float[Array, "... H k*H"]:
    """Rescales each H × H block of `[..., H, kH]` to the spectral radius `radius`.

    w_j → w_j · radius_j / ρ(w_j). Works under `jit` and `vmap`, with `radius` traced or not.

    Args:
        w: `[..., H, kH]`.
        radius: a number, or an array that broadcasts against `[..., k]`: for a batch `[P, H, H]`
            with a radius for each matrix, `[P, 1]`.

    Returns:
        The rescaled matrices, of the shape and type of `w`.

    Raises:
        UsageError: a radius that is not positive and finite, a last axis that is not a multiple
            of H, a block with ρ = 0 or with entries that are not finite. Values that are traced
            cannot raise: such blocks come out as NaN or inf.
    """
    w = jnp.asarray(w)
    measured = _measured(w)
    _require_radius(radius)
    wanted = jnp.asarray(radius, measured.dtype)
    blocks = gate_blocks(measured)
    per_block = blocks.shape[:-2]
    if not _broadcasts(wanted.shape, per_block):
        raise UsageError(
            f"radius of shape {wanted.shape}: must broadcast against one radius for each block, "
            f"{per_block}"
        )
    rho = spectral_radius(blocks)
    _require_rescalable(rho)
    rescaled = jnp.moveaxis(blocks * (wanted / rho)[..., None, None], -3, -2)
    return rescaled.reshape(w.shape).astype(w.dtype)


def _require_radius(radius: Any) -> None:
    if isinstance(radius, Tracer):
        return
    values = np.asarray(radius)
    if not np.all((values > 0) & (values <= LARGEST)):
        raise UsageError(f"radius={radius}: must be positive and finite")


def _require_rescalable(rho: Array) -> None:
    """Raises for a block that no factor brings to a radius; traced values pass."""
    if isinstance(rho, Tracer):
        return
    for block, value in zip(np.ndindex(rho.shape), np.asarray(rho).flat, strict=True):
        if not (np.isfinite(value) and value > 0):
            raise UsageError(
                f"block {block} has spectral radius {value}: only a finite radius above 0 can be "
                "rescaled; take another initialiser, or GateBlocks(...) of it for a gated cell"
            )


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether an array of `shape` broadcasts to exactly `target`."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def _measured(w: ArrayLike) -> Array:
    """Returns matrices in the type in which they are measured."""
    w = jnp.asarray(w)
    if w.ndim < 2:
        raise UsageError(f"w.shape={w.shape}: must be a matrix, with any leading axes")
    return w.astype(draw_dtype(w.dtype))
