"""A transformer as a language model, with the methods of the recurrent one."""

from __future__ import annotations

import dataclasses
from functools import cache

import chex
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Int, Key, Params
from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.nn.transformer import Cache, Transformer
from rnnlab.training.transformer_settings import TransformerNetwork


@dataclasses.dataclass(frozen=True)
class TransformerModel:
    """`p(s_{t+1} | s_1 … s_t)` by a transformer, whose state is the cache of keys and values.

    Attributes:
        network: its settings, with a number of features.
        symbols: the number of symbols, V.
    """

    network: TransformerNetwork
    symbols: int

    def __post_init__(self) -> None:
        """Checks that the number of features is given."""
        if not self.network.features:
            raise UsageError("features=0: a model needs their number")

    def init(self, key: Key, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws the parameters."""
        return _functional(self.network, self.symbols, jnp.dtype(dtype)).init(key)

    def initial_state(self, batch: int, dtype: DTypeLike = jnp.float32) -> Cache:
        """The state before the first symbol of `batch` texts: an empty cache."""
        network = self.network
        shape = (batch, network.span, network.heads, network.features // network.heads)
        return Cache.empty(network.layers, shape, dtype)

    def run(
        self,
        params: Params,
        codes: Int[Array | np.ndarray, "T B"],
        state: Cache | None,
        key: Key | None = None,
    ) -> tuple[Cache, Float[Array, "T B V"]]:
        """Reads `codes [T, B]`.

        Args:
            params: of `init`.
            codes: symbols, integers in 0 .. V - 1.
            state: before the first of them; None for the initial one, which costs less.
            key: ignored, for the network has no noise.

        Returns:
            The state after the last, and logits `[T, B, V]` of the symbol that follows each.
        """
        del key
        chex.assert_rank(codes, 2)
        state, logits = self._bound(params)(jnp.asarray(codes).swapaxes(0, 1), state)
        return state, logits.swapaxes(0, 1)

    def step(
        self, params: Params, codes: Int[Array | np.ndarray, "B"], state: Cache
    ) -> tuple[Cache, Float[Array, "B V"]]:
        """Reads one symbol of each text, `codes [B]`: the next state and logits `[B, V]`."""
        chex.assert_rank(codes, 1)
        state, logits = self._bound(params)(jnp.asarray(codes)[:, None], state)
        return state, logits[:, 0]

    def _bound(self, params: Params) -> Transformer:
        dtype = params["readout"]["kernel"].dtype
        return _functional(self.network, self.symbols, dtype).bind(params)


@cache
def _functional(
    network: TransformerNetwork, symbols: int, dtype: DTypeLike
) -> Functional[Transformer]:
    """The network as pure functions of its parameters."""
    return Functional(
        lambda rngs: Transformer(
            symbols,
            features=network.features,
            heads=network.heads,
            layers=network.layers,
            inner=network.widening * network.features,
            span=network.span,
            param_dtype=dtype,
            rngs=rngs,
        )
    )
