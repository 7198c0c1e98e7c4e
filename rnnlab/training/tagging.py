"""A network that labels the words of sentences, and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.typing import ArrayLike

from rnnlab.arrays import Array, Float, Int, Key, Params
from rnnlab.data.buckets import Padded, pad
from rnnlab.data.coded_words import Coded, Coder
from rnnlab.data.tokens import UNKNOWN_CODE
from rnnlab.layer import output_size
from rnnlab.nn import CRF, CharacterCNN, CharacterLSTM, Embedding, Functional, Recurrent, bio
from rnnlab.training.label_scores import label_nats, label_shares
from rnnlab.training.optimisers import Clip
from rnnlab.training.tagger_settings import TaggingNetwork
from rnnlab.training.update import Learner

#: Words that are labelled in one call at most, padding among them, and steps of the least of them.
WORDS, SHORTEST = 2048, 8


class Tagger(nnx.Module):
    """Scores of the labels of each word, `s_t = y_t W + b` with the outputs `y` of a network.

    The network reads `[word vector, features of its characters]`. Labels are judged together by a
    CRF, or each by `softmax(s_t)`.

    Source: Lample et al. (2016); Ma and Hovy (2016).

    Attributes:
        network: its settings.
        coder: knows the words, characters and labels.
        vectors: `[V, E]`, of the words to start from; None draws them.
        rngs: where the keys come from that draw the parameters.
    """

    def __init__(
        self,
        network: TaggingNetwork,
        coder: Coder,
        vectors: ArrayLike | None = None,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.embed = Embedding(
            coder.words.size,
            network.embedding,
            vectors=vectors,
            trained=network.train_vectors,
            rngs=rngs,
        )
        self.spell = nnx.data(_spelling(network, coder, rngs))
        features = network.embedding + (network.spelling if self.spell is not None else 0)
        cell = network.stack()
        self.read = Recurrent(cell, features, strategy=network.strategy, rngs=rngs)
        labels = len(coder.labels)
        self.judge = nnx.Linear(output_size(cell) or features, labels, rngs=rngs)
        self.crf = nnx.data(CRF(labels, allowed=bio(coder.labels)) if network.crf else None)
        self.unknown, self.rare = network.unknown, coder.rare

    def scores(
        self, words: Coded, lengths: Int[Array, "B"], key: Key | None = None
    ) -> Float[Array, "B T K"]:
        """Scores of the K labels of each word.

        Args:
            words: sentences side by side, arrays `[B, T, ...]`.
            lengths: words of each.
            key: of dropout and of words that are read as unknown; None for neither.
        """
        codes = jnp.asarray(words.words)
        if key is not None:
            key, key_unknown = jax.random.split(key)
            hidden = jax.random.bernoulli(key_unknown, self.unknown, codes.shape)
            codes = jnp.where(hidden & (codes >= self.rare), UNKNOWN_CODE, codes)
        xs = self.embed(codes)
        if self.spell is not None:
            spelt = self.spell(jnp.asarray(words.characters), jnp.asarray(words.spelled))
            xs = jnp.concatenate([xs, spelt], axis=-1)
        _, ys = self.read(xs, lengths=lengths, key=key)
        return self.judge(ys)

    def nats(
        self, words: Coded, lengths: Int[Array, "B"], key: Key | None = None
    ) -> Float[Array, "B"]:
        """`-log p` of the labels of each sentence; arguments as in `scores`."""
        scores = self.scores(words, lengths, key)
        return label_nats(scores, jnp.asarray(words.labels), lengths, self.crf)

    def answers(
        self, words: Coded, lengths: Int[Array, "B"]
    ) -> tuple[Int[Array, "B T"], Float[Array, "B T"]]:
        """The likeliest labels of each sentence, and the probability of each of them by itself."""
        scores = self.scores(words, lengths)
        if self.crf is not None:
            labels, _ = self.crf.viterbi(scores, lengths)
        else:
            labels = jnp.argmax(scores, axis=-1).astype(jnp.int32)
        shares = label_shares(scores, lengths, self.crf)
        return labels, jnp.take_along_axis(shares, labels[..., None], axis=-1)[..., 0]


def _spelling(
    network: TaggingNetwork, coder: Coder, rngs: nnx.Rngs
) -> CharacterCNN | CharacterLSTM | None:
    """What reads the characters of words."""
    sizes = coder.characters.size, network.character_embedding, network.spelling
    if network.characters == "cnn":
        return CharacterCNN(*sizes, rngs=rngs)
    if network.characters == "lstm":
        return CharacterLSTM(*sizes, strategy=network.strategy, rngs=rngs)
    return None


def tagger(
    network: TaggingNetwork, coder: Coder, vectors: ArrayLike | None = None
) -> Functional[Tagger]:
    """The tagger as pure functions of its parameters; arguments as there."""
    return Functional(lambda rngs: Tagger(network, coder, vectors, rngs=rngs))


def tagging_learner(
    model: Functional[Tagger], *, optimiser: optax.GradientTransformation, clip: Clip
) -> Learner:
    """What trains a tagger on `Padded` batches of `Coded` sentences, batch first.

    The loss is `-log p` of all labels of a batch, divided by the number of its words.

    Args:
        model: what is trained.
        optimiser: turns gradients into updates.
        clip: bounds of the gradient.
    """

    def loss(params: Params, carry: Any, batch: Padded, key: Array) -> Any:
        lengths = batch.lengths.words
        nats = model.bind(params).nats(batch.values, lengths, key)
        return nats.sum() / jnp.maximum(lengths.sum(), 1).astype(nats.dtype), (carry, {})

    return Learner(init=model.init, loss=loss, optimiser=optimiser, clip=clip)


def label(
    model: Functional[Tagger], params: Params, sentences: Sequence[Coded]
) -> list[tuple[Int[np.ndarray, "T"], Float[np.ndarray, "T"]]]:
    """The labels of sentences in their order, and the probability of each; noise is off.

    Sentences of similar lengths are read together, in batches of few shapes, so that few programs
    are compiled.
    """
    found: list[Any] = [None] * len(sentences)
    groups: dict[int, list[int]] = {}
    for row, sentence in enumerate(sentences):
        groups.setdefault(max(SHORTEST, _power(len(sentence.words))), []).append(row)
    for steps, rows in groups.items():
        size = min(_power(len(rows)), max(WORDS // steps, 1))
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            filled = np.array(chosen + [-1] * (size - len(chosen)), np.int32)
            batch = pad(sentences, [steps] * len(Coded._fields), filled, time_major=False)
            labels, share = _label(model, params, batch.values, batch.lengths.words)
            labels, share = np.asarray(labels), np.asarray(share)
            for place, row in enumerate(chosen):
                length = len(sentences[row].words)
                found[row] = labels[place, :length], share[place, :length]
    return found


@partial(jax.jit, static_argnums=0)
def _label(
    model: Functional[Tagger], params: Params, words: Coded, lengths: Int[Array, "B"]
) -> tuple[Array, Array]:
    return model.bind(params).answers(words, lengths)


def _power(count: int) -> int:
    """The least power of two that is at least `count`."""
    return 1 << max(count - 1, 0).bit_length()
