"""Features of words from how they are spelt: a bidirectional LSTM, or a convolution with maximum.

Both take `codes [B, T, C]`, the characters of each word, with `lengths [B, T]`, the number of them;
a word of none, such as padding, has the features zero.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Int
from rnnlab.cells import LSTM
from rnnlab.combinators import Bidirectional
from rnnlab.errors import UsageError
from rnnlab.nn import pooling
from rnnlab.nn.embedding import Embedding
from rnnlab.nn.masks import blanked, valid_steps
from rnnlab.nn.recurrent import Recurrent
from rnnlab.strategies import Strategy


class CharacterLSTM(nnx.Module):
    """The last outputs of an LSTM in each direction over the characters of a word.

    Source: G. Lample et al., "Neural architectures for named entity recognition" (2016), section 4.

    Attributes:
      size: number of characters, padding among them (code 0).
      embedding: features of a character.
      features: features of a word F, an even number: half from each direction.
      strategy: how the LSTMs are run.
      param_dtype: of the parameters.
      rngs: where the keys come from that draw them.

    Raises:
      UsageError: an odd number of features.
    """

    def __init__(
        self,
        size: int,
        embedding: int,
        features: int,
        *,
        strategy: str | Strategy = "autodiff",
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if features < 2 or features % 2:
            raise UsageError(f"features={features}: must be even, half for each direction")
        self.half = features // 2
        self.embed = Embedding(size, embedding, param_dtype=param_dtype, rngs=rngs)
        cell = LSTM(self.half, forget_bias=1.0)
        self.read = Recurrent(
            Bidirectional(cell, cell),
            embedding,
            strategy=strategy,
            param_dtype=param_dtype,
            rngs=rngs,
        )

    def __call__(
        self, codes: Int[Array, "B T C"], lengths: Int[Array, "B T"]
    ) -> Float[Array, "B T F"]:
        """The features of each word."""
        _, ys = self.read(self.embed(codes), lengths=lengths)
        return pooling.last(ys, lengths, backward=self.half)


class CharacterCNN(nnx.Module):
    """The largest value over a word of each filter: `max_c (W · x_{c-w .. c+w} + b)`.

    Source: X. Ma and E. Hovy, "End-to-end sequence labeling via bi-directional LSTM-CNNs-CRF"
    (2016), section 2.1.

    Attributes:
      size: number of characters, padding among them (code 0).
      embedding: features of a character.
      features: features of a word F, one for each filter.
      width: characters that a filter sees, an odd number; beyond the word they are zero.
      param_dtype: of the parameters.
      rngs: where the keys come from that draw them.

    Raises:
      UsageError: an even width.
    """

    def __init__(
        self,
        size: int,
        embedding: int,
        features: int,
        *,
        width: int = 3,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if width < 1 or not width % 2:
            raise UsageError(f"width={width}: must be odd, as many characters on both sides")
        self.width = width
        self.embed = Embedding(size, embedding, param_dtype=param_dtype, rngs=rngs)
        self.filters = nnx.Linear(
            width * embedding, features, dtype=param_dtype, param_dtype=param_dtype, rngs=rngs
        )

    def __call__(
        self, codes: Int[Array, "B T C"], lengths: Int[Array, "B T"]
    ) -> Float[Array, "B T F"]:
        """The features of each word."""
        characters = codes.shape[-1]
        xs = blanked(self.embed(codes), valid_steps(lengths, characters))
        half = self.width // 2
        xs = jnp.pad(xs, [(0, 0)] * (xs.ndim - 2) + [(half, half), (0, 0)])
        seen = [xs[..., start : start + characters, :] for start in range(self.width)]
        return pooling.largest(self.filters(jnp.concatenate(seen, axis=-1)), lengths)
