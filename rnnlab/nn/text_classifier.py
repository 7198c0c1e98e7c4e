"""A network that reads a whole text and then says one thing about it: many-to-one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Float, Int, Key
from rnnlab.layer import Layer, output_size
from rnnlab.nn import pooling as pool
from rnnlab.nn.embedding import Embedding
from rnnlab.nn.recurrent import Recurrent
from rnnlab.strategies import Strategy


class TextClassifier(nnx.Module):
    """`p(class) = softmax(v W + b)`, with `v` what is pooled of the outputs of a network.

    A text without words has `v = 0`.

    Attributes:
      cell: the network, a cell or a combinator of cells.
      words: size V of the vocabulary; code 0 is padding.
      classes: their number K.
      embedding: features E of a word's vector; 0 reads words one-hot.
      vectors: `[V, E]` to start from; None draws them.
      train_vectors: whether the vectors learn.
      pooling: last, mean, max or attention.
      backward: how many of the last features of an output come from a layer that reads backwards,
        whose last step is the first in time.
      word_dropout: probability, with noise, that a word is read as `unknown`.
      unknown: code of unknown words.
      strategy: how `unroll` runs and differentiates the scan.
      param_dtype: of the parameters.
      rngs: where the keys come from that draw them.
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
        pooling: str = "max",
        backward: int = 0,
        word_dropout: float = 0.0,
        unknown: int = 1,
        strategy: str | Strategy = "autodiff",
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.words, self.pooling, self.backward = words, pooling, backward
        self.word_dropout, self.unknown = word_dropout, unknown
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
        self.read = Recurrent(cell, features, strategy=strategy, param_dtype=param_dtype, rngs=rngs)
        hidden = output_size(cell) or features
        self.attend = (
            pool.AttentionPooling(hidden, max(hidden // 2, 1), param_dtype=param_dtype, rngs=rngs)
            if pooling == "attention"
            else None
        )
        self.judge = nnx.Linear(
            hidden, classes, dtype=param_dtype, param_dtype=param_dtype, rngs=rngs
        )

    def __call__(
        self, codes: Int[Array, "B T"], lengths: Int[Array, "B"], *, key: Key | None = None
    ) -> Float[Array, "B K"]:
        """Logits of the classes.

        Args:
          codes: words of each text.
          lengths: how many.
          key: of dropout and of words that are read as unknown; None for neither.
        """
        return self.judge(self.pool(self.outputs(codes, lengths, key=key), lengths))

    def outputs(
        self, codes: Int[Array, "B T"], lengths: Int[Array, "B"], *, key: Key | None = None
    ) -> Float[Array, "B T H"]:
        """The outputs of the network; arguments as in a call."""
        codes = jnp.asarray(codes)
        if key is not None and self.word_dropout:
            key, key_words = jax.random.split(key)
            hidden = jax.random.bernoulli(key_words, self.word_dropout, codes.shape)
            codes = jnp.where(hidden, jnp.asarray(self.unknown, codes.dtype), codes)
        if self.embed is not None:
            xs = self.embed(codes)
        else:
            xs = jax.nn.one_hot(codes, self.words, dtype=self.judge.param_dtype)
        return self.read(xs, lengths=lengths, key=key)[1]

    def pool(self, ys: Float[Array, "B T H"], lengths: Int[Array, "B"]) -> Float[Array, "B H"]:
        """One vector for the outputs of each text."""
        if self.attend is not None:
            return self.attend(ys, lengths)
        if self.pooling == "last":
            return pool.last(ys, lengths, backward=self.backward)
        return {"mean": pool.mean, "max": pool.largest}[self.pooling](ys, lengths)

    def attention(
        self, codes: Int[Array, "B T"], lengths: Int[Array, "B"]
    ) -> Float[Array, "B T"] | None:
        """How much is read of the output at each word; None where the pooling is no attention."""
        if self.attend is None:
            return None
        return self.attend.weights(self.outputs(codes, lengths), lengths)
