"""The minimal recurrent network: the input is embedded first, then one gate mixes it in.

Source: M. Chen, J. Pennington and S. S. Schoenholz, "Dynamical isometry and a mean field theory of
RNNs: gating enables signal propagation in recurrent neural networks" (2018); M. Chen,
"MinimalRNN: toward more interpretable and trainable recurrent neural networks" (2017).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Input, Key, Output, Params
from rnnlab.cells.base import HiddenState, StandardCell


@dataclasses.dataclass(frozen=True)
class MinimalRNN(StandardCell):
    """The minimalRNN, whose state moves towards an embedding `e` of the input.

        e = tanh(x @ wx + b)
        k = σ(e @ we + h @ wh + bh)
        h' = k * h + (1 - k) * e,  y = h'

    The papers write `z` for the embedding and `u` for the gate. The embedding and its product with
    `we`, drawn like `wx`, are formed for all steps at once; only `h @ wh` waits for the state.
    """

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("e",)

    @property
    def recurrent_gate_names(self) -> tuple[str, ...]:
        return ("k",)

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx [D, H]`, `we [H, H]`, `wh [H, H]`; `b [H]` and `bh [H]` are zero."""
        # Not 0 or 1, which are the keys of wx and wh.
        we = self.draw_wx(jax.random.fold_in(key, 2), (self.hidden, self.hidden), dtype)
        bh = jnp.zeros((self.hidden,), dtype)
        return super().init(key, features_in, dtype) | {"we": we, "bh": bh}

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """One step, as above."""
        e = jnp.tanh(x @ params["wx"] + params["b"])
        k = jax.nn.sigmoid(e @ params["we"] + params["bh"] + state.h @ params["wh"])
        h = k * state.h + (1 - k) * e
        return HiddenState(h), h
