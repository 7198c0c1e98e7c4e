"""Initial weights of recurrent networks, and the measurement of what was drawn.

An initialiser is a frozen dataclass, so that it can be a field of a cell, and a pure function

    initializer(key, shape, dtype) -> Array,    shape = (fan_in, fan_out)

for matrices that act on row vectors, `z = h @ w`. The recurrent matrix of a gated cell is
`[H, kH]`: k square blocks side by side, one per gate. `Orthogonal`, `Identity`, `Gaussian` and
`Uniform` treat `[H, kH]` as *one* matrix; `Blocks(base)` treats it as k matrices.

Draws are made in float64 for float64 and in float32 for every narrower type, then rounded.

ρ is the spectral radius (largest |eigenvalue|) and σ_max the largest singular value; ρ ≤ σ_max,
with equality for normal matrices only. Eigenvalues of general matrices exist in JAX on the CPU
and the GPU, not on the TPU.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike, DTypeLike

from rnnlab.errors import UsageError


class Initializer(Protocol):
    """Draws an array of a given shape and type from a key; equal keys give equal bits."""

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns the draw, an array of `shape` and `dtype`."""
        ...


@dataclass(frozen=True)
class Orthogonal:
    """A random orthogonal matrix times `gain`, uniform (Haar) on the orthogonal group.

    w = gain · Q, with Z = Q R the QR factors of a Gaussian matrix and R's diagonal made positive;
    without that sign Q would not be Haar (Mezzadri 2007, "How to generate random matrices from the
    classical compact groups", section 5).

    A matrix that is not square is semi-orthogonal: `w @ w.T = gain² I` if fan_in ≤ fan_out, and
    `w.T @ w = gain² I` otherwise. On the `[H, kH]` of a gated cell this is *one* matrix with
    orthonormal rows: a single gate's block is then not orthogonal but a corner of a larger
    orthogonal matrix, with ρ → gain/√k as H grows (Życzkowski & Sommers 2000, "Truncations of
    random unitary matrices", section 3) - one half for the LSTM. `Blocks(Orthogonal())` makes every
    gate orthogonal.

    Raises:
        UsageError: `gain` negative or not finite; `shape` without two positive axes.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        """Checks the gain."""
        _require_gain(self.gain)

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns w `[fan_in, fan_out]`."""
        rows, columns = _require_matrix(shape)
        wide = _draw_dtype(dtype)
        z = jax.random.normal(key, (max(rows, columns), min(rows, columns)), wide)
        q, r = jnp.linalg.qr(z)
        q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(wide)
        w = q if rows >= columns else q.T
        return (jnp.asarray(self.gain, wide) * w).astype(dtype)


@dataclass(frozen=True)
class Identity:
    """`gain` on the main diagonal, zero elsewhere (Le, Jaitly & Hinton 2015, section 3).

    On a shape `[H, kH]` only the first gate's block is the identity; `Blocks(Identity())` repeats
    it for every gate.

    Raises:
        UsageError: `gain` negative or not finite; `shape` without two positive axes.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        """Checks the gain."""
        _require_gain(self.gain)

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns w `[fan_in, fan_out]`; `key` is not used."""
        rows, columns = _require_matrix(shape)
        wide = _draw_dtype(dtype)
        return (jnp.asarray(self.gain, wide) * jnp.eye(rows, columns, dtype=wide)).astype(dtype)


@dataclass(frozen=True)
class Gaussian:
    """Independent normal entries, `w_ij ~ N(0, gain² / fan_in)`.

    Square matrices have ρ → gain as they grow (the circular law; Ginibre 1965), and σ_max → 2 gain.

    Raises:
        UsageError: `gain` negative or not finite; `shape` without two positive axes.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        """Checks the gain."""
        _require_gain(self.gain)

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns w `[fan_in, fan_out]`."""
        fan_in, fan_out = _require_matrix(shape)
        wide = _draw_dtype(dtype)
        deviation = jnp.asarray(self.gain / math.sqrt(fan_in), wide)
        return (deviation * jax.random.normal(key, (fan_in, fan_out), wide)).astype(dtype)


@dataclass(frozen=True)
class Uniform:
    """Independent uniform entries with the variance of `Gaussian`.

    w_ij ~ U(-a, a), a = gain · √(3 / fan_in), so that Var w_ij = a² / 3 = gain² / fan_in.

    Raises:
        UsageError: `gain` negative or not finite; `shape` without two positive axes.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        """Checks the gain."""
        _require_gain(self.gain)

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns w `[fan_in, fan_out]`."""
        fan_in, fan_out = _require_matrix(shape)
        wide = _draw_dtype(dtype)
        a = jnp.asarray(self.gain * math.sqrt(3 / fan_in), wide)
        return (a * jax.random.uniform(key, (fan_in, fan_out), wide, -1, 1)).astype(dtype)


@dataclass(frozen=True)
class Constant:
    """Every entry is `value`; any shape.

    Raises:
        UsageError: `value` is not finite.
    """

    value: float

    def __post_init__(self) -> None:
        """Checks the value."""
        if not math.isfinite(self.value):
            raise UsageError(f"value={self.value}: must be a finite number")

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns the filled array; `key` is not used."""
        return jnp.full(tuple(shape), self.value, _require_float(dtype))


@dataclass(frozen=True)
class Zeros:
    """Every entry is zero; any shape."""

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns the array of zeros; `key` is not used."""
        return jnp.zeros(tuple(shape), _require_float(dtype))


@dataclass(frozen=True)
class Blocks:
    """Fills each H × H block of `[H, kH]` with its own independent draw from `base`.

    `Blocks(Orthogonal())` makes the recurrent matrix of every gate orthogonal by itself, so that
    each gate has ρ = σ_max = gain, while a plain `Orthogonal()` gives k corners of one larger
    orthogonal matrix.

    Raises:
        UsageError: fan_out is not a multiple of fan_in.
    """

    base: Initializer

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns w `[H, kH]`, drawn with one key per block."""
        hidden, k = _require_blocks(shape)
        draws = [self.base(block, (hidden, hidden), dtype) for block in jax.random.split(key, k)]
        return jnp.concatenate(draws, axis=1)


@dataclass(frozen=True)
class Sparse:
    """A draw from `base` in which each unit keeps `connections` of its incoming weights.

    Which ones is drawn for each column of `[fan_in, fan_out]` by itself, uniformly without
    replacement; all others are zero (Martens 2010, "Deep learning via Hessian-free optimization").

    Raises:
        UsageError: `connections` not positive, or more than there are inputs.
    """

    base: Initializer
    connections: int = 15

    def __post_init__(self) -> None:
        """Checks the number of connections."""
        if self.connections < 1:
            raise UsageError(f"connections={self.connections}: must be a positive integer")

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns w `[fan_in, fan_out]`."""
        fan_in, fan_out = _require_matrix(shape)
        if self.connections > fan_in:
            raise UsageError(f"connections={self.connections}: there are only {fan_in} inputs")
        key_base, key_mask = jax.random.split(key)
        places = jax.random.uniform(key_mask, (fan_in, fan_out), jnp.float32)
        ranks = jnp.argsort(jnp.argsort(places, axis=0), axis=0)
        w = self.base(key_base, shape, dtype)
        return jnp.where(ranks < self.connections, w, jnp.zeros_like(w))


@dataclass(frozen=True)
class Rescaled:
    """A draw from `base` whose H × H blocks are rescaled to a *measured* spectral radius.

    Each block w_j of `[H, kH]` becomes w_j · radius_j / ρ(w_j), with ρ measured from the
    eigenvalues of this very draw: exact for every H and seed, where a gain is met only on average
    and only as H grows. The result is rounded to `dtype` last.

    Attributes:
        base: any initialiser; its own gain cancels.
        radius: the spectral radius of every block, or a tuple with one for each block.

    Raises:
        UsageError: a radius that is not positive and finite; fan_out not a multiple of fan_in; a
            block whose measured ρ is 0, as a nilpotent matrix has. Inside `jit` or `vmap` that last
            case cannot raise and gives NaN or inf.
    """

    base: Initializer
    radius: float | tuple[float, ...]

    def __post_init__(self) -> None:
        """Checks the radii."""
        _require_radius(self.radius)

    def __call__(self, key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        """Returns w `[H, kH]`."""
        _require_blocks(shape)
        draw = self.base(key, shape, _draw_dtype(dtype))
        return rescale_to_radius(draw, self.radius).astype(dtype)


def uniform_like(key: Array, tree: Any, bound: float) -> Any:
    """Every number of a tree drawn from U(-bound, bound): weights, biases and embeddings alike.

    Args:
        key: random key; each array draws with a key of its own.
        tree: arrays, or anything with `shape` and `dtype`, such as what `jax.eval_shape` gives.
        bound: a finite number of at least 0.

    Returns:
        A tree of arrays of the same structure, shapes and types.

    Raises:
        UsageError: `bound` negative or not finite.
    """
    if not (bound >= 0 and math.isfinite(bound)):
        raise UsageError(f"bound={bound}: must be a finite number of at least 0")
    leaves, structure = jax.tree.flatten(tree)
    draws = [
        jax.random.uniform(one, leaf.shape, _draw_dtype(leaf.dtype), -bound, bound)
        for one, leaf in zip(jax.random.split(key, len(leaves)), leaves, strict=True)
    ]
    typed = [draw.astype(leaf.dtype) for draw, leaf in zip(draws, leaves, strict=True)]
    return jax.tree.unflatten(structure, typed)


def chrono_bias(key: Array, hidden: int, t_max: float, dtype: DTypeLike = jnp.float32) -> Array:
    """Returns forget-gate biases for memories of 1 to `t_max` steps: the chrono initialisation.

    b_f ~ log U(1, t_max - 1), and the input gate takes b_i = -b_f (Tallec & Ollivier 2018, "Can
    recurrent neural networks warp time?", section 2). A forget gate that stands at sigmoid(b_f)
    loses a factor e in about 1 + e^{b_f} steps, so the time constants are uniform over the range.

    In a GRU of the convention h' = (1-z) * n + z * h it is z that keeps, so b_z = b_f; texts that
    write h' = (1-z) * h + z * n take the negative.

    Args:
        key: random key.
        hidden: H, the number of units.
        t_max: the longest dependency to remember, in steps, above 2.
        dtype: floating type of the result.

    Returns:
        b_f `[H]`, between 0 and log(t_max - 1).

    Raises:
        UsageError: `hidden` not positive; `t_max` not a finite number above 2.
    """
    if hidden < 1:
        raise UsageError(f"hidden={hidden}: must be a positive integer")
    if not (math.isfinite(t_max) and t_max > 2):
        raise UsageError(f"t_max={t_max}: must be a finite number of steps above 2")
    wide = _draw_dtype(dtype)
    return jnp.log(jax.random.uniform(key, (hidden,), wide, 1, t_max - 1)).astype(dtype)


def gate_blocks(w: ArrayLike) -> Array:
    """Cuts `[..., H, kH]` into its k square blocks, one per gate: `[..., k, H, H]`.

    Raises:
        UsageError: the last axis is not a multiple of the one before it.
    """
    w = jnp.asarray(w)
    hidden, k = _require_blocks(w.shape[-2:])
    return jnp.moveaxis(w.reshape(*w.shape[:-1], k, hidden), -2, -3)


def spectral_radius(w: ArrayLike) -> Array:
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


def singular_values(w: ArrayLike) -> Array:
    """Returns the singular values of `[..., M, N]` in descending order, `[..., min(M, N)]`.

    The first is σ_max. Measured in float64 for float64 and in float32 otherwise.

    Raises:
        UsageError: fewer than two axes, or the type is not a floating one.
    """
    return jnp.linalg.svd(_measured(w), compute_uv=False)


def rescale_to_radius(w: ArrayLike, radius: ArrayLike | tuple[float, ...]) -> Array:
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


INITIALIZERS: dict[str, Callable[[float], Initializer]] = {
    "orthogonal": Orthogonal,
    "identity": Identity,
    "gaussian": Gaussian,
    "uniform": Uniform,
}
"""Initialisers that a flag can name, each made from its gain."""


def by_name(name: str, gain: float = 1.0) -> Initializer:
    """Returns the initialiser called `name` in `INITIALIZERS`, with this gain.

    Raises:
        UsageError: an unknown name, or a gain that is negative or not finite.
    """
    if name not in INITIALIZERS:
        raise UsageError(f"init={name!r}: unknown initialiser; known: {', '.join(INITIALIZERS)}")
    return INITIALIZERS[name](gain)


def _require_gain(gain: float) -> None:
    if not (math.isfinite(gain) and gain >= 0):
        raise UsageError(f"gain={gain}: must be a finite number, at least 0")


def _require_radius(radius: Any) -> None:
    if isinstance(radius, Tracer):
        return
    values = np.asarray(radius)
    if not np.all(np.isfinite(values) & (values > 0)):
        raise UsageError(f"radius={radius}: must be positive and finite")


def _require_rescalable(rho: Array) -> None:
    """Raises for a block that no factor brings to a radius; traced values pass."""
    if isinstance(rho, Tracer):
        return
    for block, value in zip(np.ndindex(rho.shape), np.asarray(rho).flat, strict=True):
        if not (np.isfinite(value) and value > 0):
            raise UsageError(
                f"block {block} has spectral radius {value}: only a finite radius above 0 can be "
                "rescaled; take another initialiser, or Blocks(...) of it for a gated cell"
            )


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether an array of `shape` broadcasts to exactly `target`."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def _require_matrix(shape: Sequence[int]) -> tuple[int, int]:
    """Returns (fan_in, fan_out), or raises."""
    if len(shape) != 2 or min(shape) < 1:
        raise UsageError(f"shape={tuple(shape)}: must be (fan_in, fan_out), both positive")
    return shape[0], shape[1]


def _require_blocks(shape: Sequence[int]) -> tuple[int, int]:
    """Returns (H, k) of a shape (H, kH), or raises."""
    hidden, columns = _require_matrix(shape)
    if columns % hidden:
        raise UsageError(f"shape={tuple(shape)}: must be (H, k*H), a whole number of square blocks")
    return hidden, columns // hidden


def _require_float(dtype: DTypeLike) -> np.dtype:
    """Returns a floating type that exists in the present mode, or raises."""
    wanted = jnp.dtype(dtype)
    if not jnp.issubdtype(wanted, jnp.floating):
        raise UsageError(f"dtype={wanted}: must be a floating type, such as float32")
    if jax.dtypes.canonicalize_dtype(wanted) != wanted:
        raise UsageError(f"dtype={wanted}: 64-bit types are off; set jax_enable_x64 or use float32")
    return wanted


def _draw_dtype(dtype: DTypeLike) -> np.dtype:
    """Returns the type in which draws and measurements for `dtype` are made."""
    wide = jnp.float64 if _require_float(dtype) == jnp.float64 else jnp.float32
    return jnp.dtype(wide)


def _measured(w: ArrayLike) -> Array:
    """Returns matrices in the type in which they are measured."""
    w = jnp.asarray(w)
    if w.ndim < 2:
        raise UsageError(f"w.shape={w.shape}: must be a matrix, with any leading axes")
    return w.astype(_draw_dtype(w.dtype))
