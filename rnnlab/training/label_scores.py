"""Scores of the labels of each step as probabilities: by a CRF together, or by a softmax each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Float, Int
from rnnlab.nn import CRF
from rnnlab.nn.masks import valid_steps
from rnnlab.training.cross_entropy import cross_entropy


def label_nats(
    scores: Float[Array, "B T K"],
    labels: Int[Array, "B T"],
    lengths: Int[Array, "B"],
    crf: CRF | None = None,
    weights: Sequence[float] | None = None,
) -> Float[Array, "B"]:
    """`-log p` of the labels of each sequence.

    Args:
        scores: of the K labels.
        labels: the right ones.
        lengths: steps of each sequence.
        crf: judges the labels of a sequence together; None judges each by `softmax(score)`.
        weights: by which each label counts, of the K labels; without a CRF only.
    """
    if crf is not None:
        return -crf.log_likelihood(scores, labels, lengths)
    nats: Any = cross_entropy(scores, labels)
    if weights is not None:
        nats = nats * jnp.asarray(weights, nats.dtype)[labels]
    return jnp.where(valid_steps(lengths, nats.shape[1]), nats, 0).sum(axis=1)


def label_shares(
    scores: Float[Array, "B T K"], lengths: Int[Array, "B"], crf: CRF | None = None
) -> Float[Array, "B T K"]:
    """The probability of each label at each step by itself; arguments as in `label_nats`."""
    return jax.nn.softmax(scores) if crf is None else crf.marginals(scores, lengths)
