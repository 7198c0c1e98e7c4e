"""Training of a network that translates: its loss, and how it does on sentences it has not read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from rnnlab.arrays import Array, Float, Int, Params
from rnnlab.data.buckets import Padded, pad
from rnnlab.data.tokens import END_CODE, START_CODE
from rnnlab.nn.decoder import Decoder, Memory
from rnnlab.nn.encoder_decoder import EncoderDecoder
from rnnlab.nn.functional import Functional
from rnnlab.nn.masks import valid_steps
from rnnlab.training.cross_entropy import cross_entropy
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.optimisers import Clip
from rnnlab.training.readout_loss import total_cross_entropy
from rnnlab.training.update import Learner

Model = Functional[EncoderDecoder]
#: Sentences that are evaluated at a time.
READ = 64


class CodedPair(NamedTuple):
    """A sentence and its translation as codes.

    Attributes:
        source: `[S]`.
        target: with the start symbol before it and the end symbol after it, `[T + 2]`.
    """

    source: Int[np.ndarray, "S"]
    target: Int[np.ndarray, "T+2"]


def coded_pair(source: Int[np.ndarray, "S"], target: Int[np.ndarray, "T"]) -> CodedPair:
    """A pair of coded sentences, without start and end."""
    ends = np.array([START_CODE], np.int32), np.array([END_CODE], np.int32)
    return CodedPair(np.asarray(source, np.int32), np.concatenate([ends[0], target, ends[1]]))


def translation_learner(
    model: Model,
    *,
    optimiser: optax.GradientTransformation,
    clip: Clip,
    smoothing: float,
    own: float = 0.0,
) -> Learner:
    """What trains a model on batches `Padded` of `CodedPair`, batch first.

    The loss is the mean cross-entropy of a symbol, the end symbol among them.

    Args:
        model: what is trained.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
        smoothing: of the labels.
        own: probability of scheduled sampling.
    """

    def loss(params: Params, carry: Any, batch: Padded, key: Array) -> Any:
        return mean_loss(model, params, batch, key, smoothing=smoothing, own=own), (carry, {})

    return Learner(init=model.init, loss=loss, optimiser=optimiser, clip=clip)


def mean_loss(
    model: Model,
    params: Params,
    batch: Padded,
    key: Array | None = None,
    *,
    smoothing: float = 0.0,
    own: float = 0.0,
) -> Float[Array, ""]:
    """The mean of `losses` over all symbols, in nats, without all logits in memory.

    Arguments as in `losses`.
    """
    module, memory, key = _encoded(model, params, batch, key)
    target, lengths = jnp.asarray(batch.values[1]), jnp.asarray(batch.lengths[1])
    before, after, symbols = _shifted(target, lengths)
    readouts, _ = module.readouts(memory, before, symbols, key, own=own)
    matrix, bias = module.output_layer()
    counted = valid_steps(symbols, after.shape[1]).astype(matrix.dtype)
    weights = counted / jnp.maximum(symbols.sum(), 1).astype(matrix.dtype)
    rows = readouts.reshape(-1, readouts.shape[-1])
    return total_cross_entropy(rows, matrix, bias, after.ravel(), weights.ravel(), smoothing)


def losses(
    model: Model,
    params: Params,
    batch: Padded,
    key: Array | None = None,
    *,
    smoothing: float = 0.0,
    own: float = 0.0,
) -> tuple[Float[Array, "B"], Int[Array, "B"]]:
    """The cross-entropy in nats of each whole translation, and its symbols, those counted.

    Args:
        model: the model.
        params: its parameters.
        batch: of `CodedPair`, batch first.
        key: of dropout; None for none.
        smoothing: of the labels.
        own: probability of scheduled sampling.
    """
    module, memory, key = _encoded(model, params, batch, key)
    target, lengths = batch.values[1], batch.lengths[1]
    return losses_after(module, memory, target, lengths, key, smoothing=smoothing, own=own)[:2]


def _encoded(
    model: Model, params: Params, batch: Padded, key: Array | None
) -> tuple[EncoderDecoder, Memory, Array | None]:
    """The model, its memory of the sources of a batch, and the key for the decoder."""
    pair, lengths = CodedPair(*batch.values), CodedPair(*batch.lengths)
    key_source, key_target = (None, None) if key is None else jax.random.split(key)
    module = model.bind(params)
    memory = module.encode(jnp.asarray(pair.source), lengths.source, key_source)
    return module, memory, key_target


def _shifted(target: Array, lengths: Array) -> tuple[Array, Array, Array]:
    """What the decoder reads of targets, what it is to write, and how many symbols `[B]`."""
    return target[:, :-1], target[:, 1:], jnp.maximum(lengths - 1, 0)


def losses_after(
    module: Decoder,
    memory: Memory,
    target: ArrayLike,
    lengths: ArrayLike,
    key: Array | None = None,
    *,
    smoothing: float = 0.0,
    own: float = 0.0,
) -> tuple[Float[Array, "B"], Int[Array, "B"], Float[Array, "B T+1 S"] | None]:
    """`losses` of targets `[B, T + 2]` of those lengths, after the sources were read.

    Returns:
        Nats and symbols of each target, and the weights of the attention where there is any.
    """
    before, after, symbols = _shifted(jnp.asarray(target), jnp.asarray(lengths))
    decoded = module.logits(memory, before, symbols, key, own=own)
    nats = cross_entropy(decoded.logits, after, smoothing)
    counted = valid_steps(symbols, after.shape[1])
    return jnp.where(counted, nats, 0).sum(axis=1), symbols, decoded.weights


class TranslationLoss(Evaluator):
    """The cross-entropy of a symbol of translations that are known, in nats.

    Args:
        model: the model.
        pairs: sentences with their translations.
        name: of the number.
    """

    def __init__(self, model: Model, pairs: Sequence[CodedPair], name: str = "loss"):
        self._name, self._batches = name, list(_batches(pairs))
        self._losses = jax.jit(partial(losses, model))

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """The number under its name."""
        del step
        nats, symbols = 0.0, 0
        for batch in self._batches:
            found, counts = self._losses(params, batch)
            nats += float(np.sum(np.asarray(found), dtype=np.float64))
            symbols += int(np.sum(np.asarray(counts)))
        return {self._name: nats / max(symbols, 1)}


def _batches(pairs: Sequence[CodedPair]) -> Any:
    """All pairs in batches of similar lengths, padded to a multiple of 16 steps."""
    order = sorted(range(len(pairs)), key=lambda place: len(pairs[place].target))
    for first in range(0, len(order), READ):
        rows = np.full(READ, -1, np.int32)
        chosen = order[first : first + READ]
        rows[: len(chosen)] = chosen
        steps = [
            -(-max(1, *(len(pairs[place][part]) for place in chosen)) // 16) * 16 for part in (0, 1)
        ]
        yield pad(pairs, steps, rows, time_major=False)
