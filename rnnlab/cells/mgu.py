"""The minimal gated unit: one gate that both forgets and resets.

Source: G.-B. Zhou, J. Wu, C.-L. Zhang and Z.-H. Zhou, "Minimal gated unit for recurrent neural
networks", International Journal of Automation and Computing 13 (2016).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from rnnlab.arrays import Input, Output, Params
from rnnlab.cells.base import HiddenState, StandardCell, by_gate


@dataclasses.dataclass(frozen=True)
class MGU(StandardCell):
    """The MGU, gates in the order `f, n`.

        f = σ(x @ wx + h @ wh + b)
        n = tanh(x @ wx + (f * h) @ wh + b)
        h' = (1 - f) * h + f * n,  y = h'

    The paper calls `f` the forget gate: a large `f` replaces the old state, unlike the forget gate
    of an LSTM and the update gate `z` of the GRU here, which keep it.
    """

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("f", "n")

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """One step, as above."""
        w_f, w_n = by_gate(params["wh"], 2)
        u_f, u_n = self.affine_input(params, x)
        f = jax.nn.sigmoid(u_f + state.h @ w_f)
        n = jnp.tanh(u_n + (f * state.h) @ w_n)
        h = (1 - f) * state.h + f * n
        return HiddenState(h), h
