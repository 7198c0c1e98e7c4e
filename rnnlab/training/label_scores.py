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


def likeliest_labels(
    scores: Float[Array, "B T K"], lengths: Int[Array, "B"], crf: CRF | None = None
) -> tuple[Int[Array, "B T"], Float[Array, "B T K"]]:
    """The likeliest labels of each sequence, and the probability of each label at each step.

    With a CRF the labels are those of the likeliest sequence, whose steps need not be the likeliest
    by themselves. Arguments as in `label_nats`.
    """
    if crf is not None:
        return crf.viterbi(scores, lengths)[0], crf.marginals(scores, lengths)
    return jnp.argmax(scores, axis=-1).astype(jnp.int32), jax.nn.softmax(scores)
