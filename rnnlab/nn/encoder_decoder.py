"""A network that reads one sequence of symbols and writes another.

An encoder reads the source. A decoder writes (`rnnlab.nn.decoder`, which explains the hand-overs)
and gets of the source its final state `h_T`, a vector made of it, or, with attention, all outputs.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from rnnlab.arrays import Array, Float, Int, Key, State
from rnnlab.layer import Layer, output_size
from rnnlab.nn.decoder import Decoder, Memory, split_key
from rnnlab.nn.embedding import Embedding
from rnnlab.nn.masks import valid_steps
from rnnlab.nn.recurrent import Recurrent
from rnnlab.strategies import Strategy


class EncoderDecoder(Decoder):
    """See the module's docstring.

    Attributes:
      source_symbols, target_symbols: sizes of the vocabularies; the symbol 0 is padding.
      encoder: recurrent layers that read the source, in one direction or both.
      decoder: recurrent layers that write, of a kind that can run step by step.
      embedding: features of a symbol E.
      readout: features R of the readout.
      hand_over: one of `HAND_OVERS`.
      attention: additive, dot or general.
      feeding: none, readout or context; the latter two with attention only.
      dropout: rate for embedded symbols and readouts, where a call gets a key.
      tied: whether the output layer's weights are the embeddings of the targets; R is E then.
      strategy: how `unroll` runs the layers.
      param_dtype: of all parameters.
      rngs: where the keys come from that draw them.

    Raises:
      UsageError: settings that do not exist or do not go together.
    """

    def __init__(
        self,
        source_symbols: int,
        target_symbols: int,
        *,
        encoder: Layer,
        decoder: Layer,
        embedding: int,
        readout: int,
        hand_over: str = "attention",
        attention: str = "general",
        feeding: str = "none",
        dropout: float = 0.0,
        tied: bool = False,
        strategy: str | Strategy = "autodiff",
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        types: Any = {"param_dtype": param_dtype, "rngs": rngs}
        # In the order in which recorded results were drawn.
        self.source = Embedding(source_symbols, embedding, **types)
        target = Embedding(target_symbols, embedding, **types)
        self.encoder = Recurrent(encoder, embedding, strategy=strategy, **types)
        final = encoder.initial_state((), param_dtype)
        super().__init__(
            target,
            decoder,
            summary=sum(leaf.size for leaf in jax.tree.leaves(final)),
            read=output_size(encoder) or embedding,
            readout=readout,
            hand_over=hand_over,
            attention=attention,
            feeding=feeding,
            dropout=dropout,
            tied=tied,
            strategy=strategy,
            **types,
        )

    def encode(
        self,
        source: Int[Array, "B S"],
        lengths: ArrayLike | None = None,
        key: Key | None = None,
    ) -> Memory:
        """Reads the sources.

        Args:
          source: codes, padded on the right with anything.
          lengths: symbols of each, `[B]`; a source may be empty. None for S.
          key: of dropout; None for none.
        """
        if lengths is None:
            lengths = jnp.full(len(source), source.shape[1], jnp.int32)
        key_symbols, key_layers = split_key(key, 2)
        xs = self._dropped(self.source(source), key_symbols)
        return self.encode_vectors(xs, lengths, key_layers)

    def encode_vectors(
        self, xs: Float[Array, "B S E"], lengths: ArrayLike, key: Key | None = None
    ) -> Memory:
        """As `encode`, from embedded symbols."""
        final, outputs = self.encoder(xs, lengths=lengths, key=key)
        return self.hand(final, outputs, jnp.asarray(lengths, jnp.int32))

    def hand(
        self, final: State, outputs: Float[Array, "B S M"], lengths: Int[Array, "B"]
    ) -> Memory:
        """What the decoder gets of the encoder's final state and outputs."""
        leaves = [
            leaf.reshape(len(leaf), math.prod(leaf.shape[1:])) for leaf in jax.tree.leaves(final)
        ]
        summary = jnp.concatenate(leaves, axis=-1)
        return self.remember(summary, outputs, valid_steps(lengths, outputs.shape[1]))
