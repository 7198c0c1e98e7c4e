"""Truncated gradients beside the full one, batch by batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from rnnlab.training.update import Learner


class Comparison(NamedTuple):
    """A truncated gradient `g_k` against the full one `g`, over batches b.

    Attributes:
        cosine: mean over b of `<g_k, g> / (‖g_k‖ ‖g‖)`.
        ratio: mean over b of `‖g_k‖ / ‖g‖`.
        bias: `‖mean_b (g_k - g)‖ / ‖mean_b g‖`: what averaging over batches does not remove.
    """

    cosine: float
    ratio: float
    bias: float


class Gradients:
    """The gradients of a learner, compiled once.

    Args:
        learner: its loss is differentiated; noise is that of one fixed key.
        batches: batches in a row, `[count, ...]`. The carry goes from one to the next.
    """

    def __init__(self, learner: Learner, batches: Any):
        def all_batches(params: Any) -> jax.Array:
            def one(carry: Any, batch: Any) -> tuple[Any, jax.Array]:
                differentiate = jax.grad(learner.loss, has_aux=True)
                gradient, (carry, _) = differentiate(params, carry, batch, jax.random.key(0))
                return carry, ravel_pytree(gradient)[0]

            return jax.lax.scan(one, learner.carry(), batches)[1]

        self._all_batches = jax.jit(all_batches)

    def __call__(self, params: Any) -> np.ndarray:
        """Gradients of all parameters in a row, float64 `[count, P]`."""
        return np.asarray(self._all_batches(params), np.float64)


def compare(cut: np.ndarray, full: np.ndarray) -> Comparison:
    """Compares gradients `[count, P]`; what is not defined, as where one is zero, is nan."""
    lengths = _norm(cut) * _norm(full)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Comparison(
            cosine=float(np.mean((cut * full).sum(axis=-1) / lengths)),
            ratio=float(np.mean(_norm(cut) / _norm(full))),
            bias=float(_norm((cut - full).mean(axis=0)) / _norm(full.mean(axis=0))),
        )


def noise(full: np.ndarray) -> float:
    """How far the gradient of one batch is from their mean: `√(mean_b ‖g - ḡ‖²) / ‖ḡ‖`."""
    mean = full.mean(axis=0)
    return float(np.sqrt(np.mean(_norm(full - mean) ** 2)) / _norm(mean))


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)
