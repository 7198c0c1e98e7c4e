"""The cross-entropy of many classes in few passes over memory: the softmax of a language model.

The logits of a window over 10,000 words are larger than the caches, so that what costs is how often
they are read and written. The derivative of `-log softmax(z)_t` is `softmax(z) - e_t`: written out,
it is one pass that needs nothing but the logits and the normaliser of each row.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from rnnlab.arrays import Array, Float, Int


def cross_entropy(
    logits: Float[Array, "... V"], targets: Int[Array | np.ndarray, "..."], smoothing: float = 0.0
) -> Float[Array, "..."]:
    """`-log softmax(z)_t` of each target, in nats.

    With smoothing ε it is the cross-entropy to `(1 - ε) e_t + ε / V` instead of `e_t` (C. Szegedy
    et al., "Rethinking the Inception architecture for computer vision", 2016, section 7).

    Args:
        logits: z `[..., V]`, floating.
        targets: classes t `[...]`, integers in 0 .. V - 1.
        smoothing: ε, in 0 .. 1.

    Returns:
        `[...]`, of the type of the logits.
    """
    chex.assert_equal_shape([logits[..., 0], targets])
    chex.assert_type([logits, targets], [float, int])
    return _cross_entropy(logits, jnp.asarray(targets), smoothing)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _cross_entropy(logits: Array, targets: Array, smoothing: float) -> Any:
    return _forward(logits, targets, smoothing)[0]


def _forward(
    logits: Array, targets: Array, smoothing: float
) -> tuple[Array, tuple[Array, Array, Array]]:
    normaliser = jax.nn.logsumexp(logits, axis=-1)
    wanted = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    if smoothing:
        wanted = (1 - smoothing) * wanted + smoothing * logits.mean(axis=-1)
    return normaliser - wanted, (logits, normaliser, targets)


def _backward(
    smoothing: float, kept: tuple[Array, Array, Array], d_nats: Array
) -> tuple[Array, None]:
    logits, normaliser, targets = kept
    classes = jax.lax.broadcasted_iota(targets.dtype, logits.shape, logits.ndim - 1)
    d_nats = d_nats[..., None]
    softmax = jnp.exp(logits - normaliser[..., None])
    if smoothing:
        softmax = softmax - smoothing / logits.shape[-1]
    wanted = (1 - smoothing) * d_nats if smoothing else d_nats
    return softmax * d_nats - jnp.where(classes == targets[..., None], wanted, 0), None


_cross_entropy.defvjp(_forward, _backward)
