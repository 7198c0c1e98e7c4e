"""A network that reads a whole text and then says one thing about it: many-to-one."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Float, Int, Key
from rnnlab.layer import Layer
from rnnlab.nn.embedding import Embedding
from rnnlab.nn.sequence_classifier import SequenceClassifier


class TextClassifier(SequenceClassifier):
    """A `SequenceClassifier` that reads the words of a text; a call takes their codes `[B, T]`.

    Attributes:
      cell: the network, a cell or a combinator of cells.
      words: size V of the vocabulary; code 0 is padding.
      classes: their number K.
      embedding: features E of a word's vector; 0 reads words one-hot.
      vectors: `[V, E]` to start from; None draws them.
      train_vectors: whether the vectors learn.
      word_dropout: probability, with noise, that a word is read as `unknown`.
      unknown: code of unknown words.
      param_dtype: of the parameters.
      rngs: where the keys come from that draw them.
      **settings: further ones of a `SequenceClassifier`.
    """

    def __init__(
        self,
        cell: Layer,
        words: int,
        classes: int,
        *,
        embedding: int,
        vectors: ArrayLike | None = None,
        train_vectors: bool = True,
        word_dropout: float = 0.0,
        unknown: int = 1,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
        **settings: Any,
    ) -> None:
        self.words, self.word_dropout, self.unknown = words, word_dropout, unknown
        self.embed = (
            Embedding(
                words,
                embedding,
                vectors=vectors,
                trained=train_vectors,
                param_dtype=param_dtype,
                rngs=rngs,
            )
            if embedding
            else None
        )
        features = embedding or words
        super().__init__(cell, features, classes, param_dtype=param_dtype, rngs=rngs, **settings)

    def outputs(
        self, codes: Int[Array, "B T"], lengths: Int[Array, "B"], *, key: Key | None = None
    ) -> Float[Array, "B T H"]:
        """The outputs of the network.

        Args:
          codes: words of each text.
          lengths: how many.
          key: of dropout and of words that are read as unknown; None for neither.
        """
        codes = jnp.asarray(codes)
        if key is not None and self.word_dropout:
            key, key_words = jax.random.split(key)
            hidden = jax.random.bernoulli(key_words, self.word_dropout, codes.shape)
            codes = jnp.where(hidden, jnp.asarray(self.unknown, codes.dtype), codes)
        if self.embed is not None:
            xs = self.embed(codes)
        else:
            xs = jax.nn.one_hot(codes, self.words, dtype=self.judge.param_dtype)
        return super().outputs(xs, lengths, key=key)
