"""How a network learns to name the class of a sequence, such as a text, and what it answers.

The network may be any module that is called with `(xs, lengths, key=...)` and gives logits, such as
`rnnlab.nn.SequenceClassifier` and `rnnlab.nn.text_classifier.TextClassifier`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlab.arrays import Array, Float, Int, Key, Params
from rnnlab.data.buckets import Padded, grouped
from rnnlab.nn import Functional
from rnnlab.statistics import confusion, macro_f1
from rnnlab.training.cross_entropy import cross_entropy
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.optimisers import Clip
from rnnlab.training.update import Learner

#: Texts that are read together at most, steps of the shortest batch, and words of a batch, padding
#: among them, which bounds the memory.
TEXTS, SHORTEST, WORDS = 64, 8, 1 << 14

Model = Functional[Any]
#: `(xs, lengths, key)` to other sequences of the same classes.
Augment = Callable[[Array, Array, Key], tuple[Array, Array]]


def class_weights(labels: Int[np.ndarray, "N"], classes: int, balance: float) -> list[float]:
    """`w_k ∝ n_k^-balance` with a mean of 1 over the texts, n_k of which have label k.

    Args:
        labels: of the N texts to train on.
        classes: how many there are.
        balance: 0 makes all texts count the same, 1 all classes.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts > 0, np.maximum(counts, 1.0) ** -balance, 0.0)
    return (weights * counts.sum() / max(float(weights @ counts), 1e-300)).tolist()


def classification_learner(
    model: Model,
    *,
    batch: int,
    optimiser: optax.GradientTransformation,
    clip: Clip,
    weights: Sequence[float] | None = None,
    augment: Augment | None = None,
) -> Learner:
    """What trains a classifier on `Padded` batches of `(sequence, label)`, batch first.

    The loss is the mean cross-entropy in nats of the sequences of a batch, each with the weight of
    its class. A sequence is what the model reads, such as `[T]` codes of words or `[T, D]` numbers.

    Args:
        model: what is trained.
        batch: sequences of a batch.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        weights: of the classes; None counts all the same.
        augment: what is read in training in place of the sequences; None for themselves.
    """

    def loss(params: Params, carry: Any, texts: Padded, key: Array) -> Any:
        (xs, labels), lengths = texts.values, texts.lengths[0]
        if augment is not None:
            key, key_augment = jax.random.split(key)
            xs, lengths = augment(xs, lengths, key_augment)
        logits = model.bind(params)(xs, lengths, key=key)
        there = (texts.rows >= 0).astype(logits.dtype)
        count = jnp.maximum(there.sum(), 1)
        of_class = jnp.asarray(weights or [1.0] * logits.shape[-1], logits.dtype)
        weighted = there * of_class[labels]
        right = (jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels).astype(logits.dtype)
        nats = (weighted * cross_entropy(logits, labels)).sum() / count
        return nats, (carry, {"accuracy": (there * right).sum() / count})

    rows: Any = 0
    return Learner(
        init=model.init,
        loss=loss,
        optimiser=optimiser,
        clip=clip,
        axes=Padded(values=(0, 0), lengths=(0, 0), rows=rows),
        batch=batch,
    )


def log_probabilities(
    model: Model, params: Params, texts: Sequence[np.ndarray], **limits: int
) -> Float[np.ndarray, "N K"]:
    """Log-probabilities of the classes of texts or other sequences, float64; noise is off.

    Args:
        model: the classifier.
        params: its parameters.
        texts: the words of each, int32 codes, or what else the classifier reads.
        **limits: of batches, as in `batches`.
    """
    found: list[Any] = [None] * len(texts)
    for rows, batch in batches(texts, **limits):
        logits = _read(model, params, batch.values, batch.lengths)
        for row, one in zip(rows, np.asarray(logits, np.float64), strict=False):
            found[row] = one - np.logaddexp.reduce(one)
    return np.array(found) if found else np.zeros((0, 0))


def batches(
    texts: Sequence[np.ndarray], *, most: int = TEXTS, steps: int = WORDS, shortest: int = SHORTEST
) -> Iterator[tuple[list[int], Padded]]:
    """Texts of similar lengths together, in batches of few shapes, so that few programs compile.

    Arguments are those of `rnnlab.data.buckets.grouped`.

    Returns:
        The rows of each batch, and the batch, which may have more.
    """
    return grouped(texts, most=most, steps=steps, shortest=shortest)


@partial(jax.jit, static_argnums=0)
def _read(model: Model, params: Params, codes: Any, lengths: Any) -> Array:
    return model.bind(params)(codes, lengths)


class ClassificationEvaluator(Evaluator):
    """How a classifier names texts or other sequences.

    Args:
        model: the classifier.
        texts: the words of each, int32 codes, or what else the classifier reads.
        labels: of the texts.
        best: what is best, `accuracy` or `macro F1`; `miss` is 1 minus that.
        **limits: of batches, as in `batches`.
    """

    def __init__(
        self,
        model: Model,
        texts: Sequence[np.ndarray],
        labels: Int[np.ndarray, "N"],
        best: str = "accuracy",
        **limits: int,
    ):
        self._model, self._texts, self._labels, self._best = model, texts, labels, best
        self._limits = limits

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`accuracy`, `macro F1`, `loss` in nats for each text, and `miss`."""
        del step
        log_p = log_probabilities(self._model, params, self._texts, **self._limits)
        labels = self._labels
        counts = confusion(labels, log_p.argmax(axis=1), log_p.shape[1])
        values = {
            "accuracy": float(np.trace(counts) / counts.sum()),
            "macro F1": float(macro_f1(counts)),
            "loss": float(-log_p[np.arange(len(labels)), labels].mean()),
        }
        return values | {"miss": 1 - values[self._best]}


def attention_weights(
    model: Model, params: Params, codes: Int[np.ndarray, "T"]
) -> Float[np.ndarray, "T"] | None:
    """How much is read of the output at each word of a text; None without attention."""
    ((_, batch),) = batches([codes])
    weights = model.bind(params).attention(batch.values, batch.lengths)
    return None if weights is None else np.asarray(weights)[0, : len(codes)]
