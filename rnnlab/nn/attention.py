"""Attention: a mean of the places of a memory, weighted by how well each fits a query.

With queries `q [*B, N, Q]` and a memory `m [*B, S, M]` whose places are `mask [*B, S]`, the weights
are the softmax over the places of a score, and the context is `Σ_s a_s m_s`. The three kinds differ
in the score only. What a memory needs for its scores is computed once, by `keys`.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Bool, Float
from rnnlab.errors import UsageError
from rnnlab.nn.masks import blanked, masked_softmax

#: The kinds by name, for `by_name`.
KINDS = ("additive", "dot", "general")


class Attention(nnx.Module):
    """Base of the kinds: `keys` and `scores` are theirs."""

    def keys(self, memory: Float[Array, "B S M"]) -> Float[Array, "B S K"]:
        """What the scores need of the memory."""
        raise NotImplementedError

    def scores(
        self, queries: Float[Array, "B N Q"], keys: Float[Array, "B S K"]
    ) -> Float[Array, "B N S"]:
        """How well each place fits each query."""
        raise NotImplementedError

    def __call__(
        self,
        query: Float[Array, "B ... Q"],
        memory: Float[Array, "B S M"],
        mask: Bool[Array, "B S"],
        keys: Float[Array, "B S K"] | None = None,
    ) -> tuple[Float[Array, "B ... M"], Float[Array, "B ... S"]]:
        """Context and weights of each query.

        The weights are exactly zero outside of the mask, and so is every gradient there; a row
        without places has zeros for weights and context.

        Args:
          query: any number of queries for each row, such as all steps of a decoder.
          memory: what is attended to.
          mask: its places.
          keys: of the memory, where they are known; None computes them.
        """
        memory = blanked(memory, mask)
        keys = self.keys(memory) if keys is None else blanked(keys, mask)
        between = query.shape[1:-1]
        queries = query.reshape(len(query), math.prod(between), query.shape[-1])
        scores = self.scores(queries, keys)
        weights = masked_softmax(scores, jnp.broadcast_to(mask[:, None], scores.shape))
        context = weights @ memory
        return (
            context.reshape(len(query), *between, memory.shape[-1]),
            weights.reshape(len(query), *between, memory.shape[1]),
        )


class Dot(Attention):
    """`q · m`: queries and memory are of the same size.

    Source: M.-T. Luong, H. Pham and C. D. Manning, "Effective approaches to attention-based neural
    machine translation" (2015), equation 8.
    """

    def keys(self, memory: Float[Array, "B S M"]) -> Float[Array, "B S M"]:
        """The memory itself."""
        return memory

    def scores(
        self, queries: Float[Array, "B N M"], keys: Float[Array, "B S M"]
    ) -> Float[Array, "B N S"]:
        """The products; UsageError where the sizes differ."""
        if queries.shape[-1] != keys.shape[-1]:
            raise UsageError(
                f"query has {queries.shape[-1]} features and the memory {keys.shape[-1]}: the "
                "attention dot needs as many; use general"
            )
        return queries @ keys.swapaxes(-1, -2)


class General(Attention):
    """`q W m`.

    Source: Luong, Pham and Manning (2015), equation 8.

    Attributes:
      query_size: features of a query Q.
      memory_size: features of the memory M.
      param_dtype: of the parameters.
      rngs: where the key comes from that draws them.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        types: Any = {"dtype": param_dtype, "param_dtype": param_dtype, "rngs": rngs}
        self.weight = nnx.Linear(memory_size, query_size, use_bias=False, **types)

    def keys(self, memory: Float[Array, "B S M"]) -> Float[Array, "B S Q"]:
        """`W m`."""
        return self.weight(memory)

    def scores(
        self, queries: Float[Array, "B N Q"], keys: Float[Array, "B S Q"]
    ) -> Float[Array, "B N S"]:
        """`q · (W m)`."""
        return queries @ keys.swapaxes(-1, -2)


class Additive(Attention):
    """`v · tanh(q W_q + m W_m + b)`.

    Source: D. Bahdanau, K. Cho and Y. Bengio, "Neural machine translation by jointly learning to
    align and translate" (2015), appendix A.1.2.

    Attributes:
      query_size: features of a query Q.
      memory_size: features of the memory M.
      features: width of the hidden layer A.
      param_dtype: of the parameters.
      rngs: where the key comes from that draws them.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        features: int,
        *,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        types: Any = {"dtype": param_dtype, "param_dtype": param_dtype, "rngs": rngs}
        self.of_query = nnx.Linear(query_size, features, use_bias=False, **types)
        self.of_memory = nnx.Linear(memory_size, features, **types)
        self.score = nnx.Linear(features, 1, use_bias=False, **types)

    def keys(self, memory: Float[Array, "B S M"]) -> Float[Array, "B S A"]:
        """`m W_m + b`."""
        return self.of_memory(memory)

    def scores(
        self, queries: Float[Array, "B N Q"], keys: Float[Array, "B S A"]
    ) -> Float[Array, "B N S"]:
        """`v · tanh(q W_q + key)`."""
        sums = self.of_query(queries)[:, :, None] + keys[:, None]
        return self.score(jnp.tanh(sums))[..., 0]


def by_name(
    kind: str,
    query_size: int,
    memory_size: int,
    features: int,
    *,
    param_dtype: DTypeLike = jnp.float32,
    rngs: nnx.Rngs,
) -> Attention:
    """The attention called `kind` in `KINDS`; `features` are those of the additive one's layer.

    Raises:
      UsageError: there is no such kind, or sizes that differ for dot.
    """
    if kind == "additive":
        return Additive(query_size, memory_size, features, param_dtype=param_dtype, rngs=rngs)
    if kind == "general":
        return General(query_size, memory_size, param_dtype=param_dtype, rngs=rngs)
    if kind == "dot":
        jax.eval_shape(Dot().scores, *(jnp.zeros((1, 1, n)) for n in (query_size, memory_size)))
        return Dot()
    raise UsageError(f"attention={kind!r}: must be one of {', '.join(KINDS)}")
