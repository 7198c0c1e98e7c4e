"""The cross-entropy of many classes in few passes over memory: the softmax of a language model.

The logits of a window over 10,000 words are larger than the caches, so that what costs is how often
they are read and written. The derivative of `-log softmax(z)_t` is `softmax(z) - e_t`: written out,
it is one pass that needs nothing but the logits and the normaliser of each row.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Float, Int


@jax.custom_vjp
def cross_entropy(logits: Float[Array, "... V"], targets: Int[Array, "..."]) -> Float[Array, "..."]:
    """`-log softmax(z)_t` of each target, in nats.

    Args:
        logits: z `[..., V]`, floating.
        targets: classes t `[...]`, integers in 0 .. V - 1.

    Returns:
        `[...]`, of the type of the logits.
    """
    chex.assert_equal_shape([logits[..., 0], targets])
    chex.assert_type([logits, targets], [float, int])
    return _forward(logits, targets)[0]


def _forward(logits: Array, targets: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    normaliser = jax.nn.logsumexp(logits, axis=-1)
    wanted = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return normaliser - wanted, (logits, normaliser, targets)


def _backward(kept: tuple[Array, Array, Array], d_nats: Array) -> tuple[Array, None]:
    logits, normaliser, targets = kept
    classes = jax.lax.broadcasted_iota(targets.dtype, logits.shape, logits.ndim - 1)
    d_nats = d_nats[..., None]
    softmax = jnp.exp(logits - normaliser[..., None])
    return softmax * d_nats - jnp.where(classes == targets[..., None], d_nats, 0), None


cross_entropy.defvjp(_forward, _backward)
