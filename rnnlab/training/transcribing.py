"""How a network learns to write down what is said, without being told when, and what it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlab.arrays import Array, Float, Int, Params
from rnnlab.data.buckets import Padded, grouped
from rnnlab.nn import Functional
from rnnlab.nn.ctc import Said, ctc_nats, edits, greedy
from rnnlab.training.classification import Augment
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.optimisers import Clip
from rnnlab.training.speech import LIMITS, Listener
from rnnlab.training.update import Learner

#: From log-probabilities `[T, K+1]` to labels.
Decoder = Callable[[np.ndarray], Said]


def transcribing_learner(
    model: Functional[Listener],
    *,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip,
    augment: Augment | None = None,
) -> Learner:
    """What trains a network on `Padded` batches of `(samples, labels)`, batch first.

    The loss is CTC's `-log p` of the labels of all sounds, divided by their number. Sounds whose
    labels do not fit into their steps count in neither; `misfits` is their share.

    Args:
        model: what is trained; its answers are the blank and the labels.
        batch: sounds of a batch.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        augment: what is heard in training in place of the sounds; None for themselves.
    """

    def loss(params: Params, carry: Any, sounds: Padded, key: Array) -> Any:
        (samples, labels), (lengths, counts) = sounds.values, sounds.lengths
        if augment is not None:
            key, key_augment = jax.random.split(key)
            samples, lengths = augment(samples, lengths, key_augment)
        listener = model.bind(params)
        logits = listener.over_time(samples, lengths, key=key)
        nats, fits = ctc_nats(logits, listener.hear.steps(lengths), labels, counts)
        heard = jnp.where(fits, jnp.asarray(counts, jnp.int32), 0).sum()
        misfits = 1 - fits.astype(nats.dtype).mean()
        return nats.sum() / jnp.maximum(heard, 1).astype(nats.dtype), (carry, {"misfits": misfits})

    rows: Any = 0
    return Learner(
        init=model.init,
        loss=loss,
        optimiser=optimiser,
        clip=clip,
        axes=Padded(values=(0, 0), lengths=(0, 0), rows=rows),
        batch=batch,
    )


def log_probabilities_over_time(
    model: Functional[Listener], params: Params, sounds: Sequence[np.ndarray]
) -> list[Float[np.ndarray, "T K+1"]]:
    """Log-probabilities of the blank and the labels at each step of sounds; noise is off."""
    found: list[Any] = [None] * len(sounds)
    for rows, batch in grouped(sounds, **LIMITS):
        logits, steps = _listen(model, params, batch.values, batch.lengths)
        logits = np.asarray(logits, np.float64)
        logits -= np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        for row, one, count in zip(rows, logits, np.asarray(steps), strict=False):
            found[row] = one[:count]
    return found


@partial(jax.jit, static_argnums=0)
def _listen(model: Functional[Listener], params: Params, samples: Any, lengths: Any) -> Any:
    listener = model.bind(params)
    return listener.over_time(samples, lengths), listener.hear.steps(lengths)


def error_rate(said: Sequence[Sequence[int]], wanted: Sequence[Int[np.ndarray, "L"]]) -> float:
    """Labels that were inserted, left out or exchanged, as a share of those that were said."""
    wrong = sum(edits(a, b.tolist()) for a, b in zip(said, wanted, strict=True))
    return wrong / max(sum(map(len, wanted)), 1)


class TranscribingEvaluator(Evaluator):
    """How a network writes down sounds.

    Args:
        model: the network.
        sounds: samples of each.
        labels: of each, what is said.
        decode: from log-probabilities to labels.
    """

    def __init__(
        self,
        model: Functional[Listener],
        sounds: Sequence[np.ndarray],
        labels: Sequence[Int[np.ndarray, "L"]],
        decode: Decoder = greedy,
    ):
        self._model, self._sounds, self._labels, self._decode = model, sounds, labels, decode

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`error` rate of the labels, and the share of sounds that are `exact`ly right."""
        del step
        log_p = log_probabilities_over_time(self._model, params, self._sounds)
        said = [self._decode(one).labels for one in log_p]
        exact = [a == tuple(b.tolist()) for a, b in zip(said, self._labels, strict=True)]
        return {"error": error_rate(said, self._labels), "exact": float(np.mean(exact))}
