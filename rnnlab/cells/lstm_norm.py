"""The LSTM that reads its carousel through a layer normalisation.

Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016),
supplement: the last of the three normalisations in its LSTM. The other two, of the products with
`x` and with `h`, can be put around any cell.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Input, Key, Output, Params
from rnnlab.cells.base import CarouselState
from rnnlab.cells.carousel import ForgetGateCell


def layer_norm(z: Array) -> Array:
    """`LN(z) = (z - mean) / √(variance + 1e-5)` over the last axis."""
    centred = z - jnp.mean(z, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-5)


@dataclasses.dataclass(frozen=True)
class CellNormLSTM(ForgetGateCell):
    """The LSTM that reads its carousel through a layer normalisation, `LN(c)` over the `H` units.

        i, f, o, g  as in LSTM
        c' = f * c + i * g
        h' = o * tanh(c_gain * LN(c') + c_bias),  y = h'

    Attributes:
      forget_bias: as in LSTM.
      chrono: as in LSTM.
    """

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("i", "f", "g", "o")

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx [D, 4H]`, `wh [H, 4H]`, `b [4H]`; `c_gain [H]` is one, `c_bias [H]` zero."""
        return super().init(key, features_in, dtype) | {
            "c_gain": jnp.ones((self.hidden,), dtype),
            "c_bias": jnp.zeros((self.hidden,), dtype),
        }

    def step(self, params: Params, x: Input, state: CarouselState) -> tuple[CarouselState, Output]:
        """One step, as above."""
        z_i, z_f, z_g, z_o = self.affine(params, x, state.h)
        c = jax.nn.sigmoid(z_f) * state.c + jax.nn.sigmoid(z_i) * jnp.tanh(z_g)
        shown = params["c_gain"] * layer_norm(c) + params["c_bias"]
        h = jax.nn.sigmoid(z_o) * jnp.tanh(shown)
        return CarouselState(h=h, c=c), h
