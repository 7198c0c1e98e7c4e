"""The minimal gated unit: one gate that both forgets and resets.

Source: G.-B. Zhou, J. Wu, C.-L. Zhang and Z.-H. Zhou, "Minimal gated unit for recurrent neural
networks", International Journal of Automation and Computing 13 (2016).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from rnnlab.cells.base import Array, Cell, HiddenState, Params


@dataclasses.dataclass(frozen=True)
class MGU(Cell):
    """The MGU, gates in the order `f, n`.

        f = σ(x @ wx + h @ wh + b)
        n = tanh(x @ wx + (f * h) @ wh + b)
        h' = (1 - f) * h + f * n,  y = h'

    The paper calls `f` the forget gate: a large `f` replaces the old state, unlike the forget gate
    of an LSTM and the update gate `z` of the GRU here, which keep it.
    """

    reset_first = True

    @property
    def blocks(self) -> tuple[str, ...]:
        return ("f", "n")

    def recur(self, params: Params, state: HiddenState) -> Array:
        return state.h @ params["wh"][:, : self.hidden]

    def operand(self, params: Params, u: Any, v: Array, state: HiddenState) -> Array:
        del params
        return jax.nn.sigmoid(u[0] + v) * state.h

    def recur_operand(self, params: Params, operand: Array) -> Array:
        return operand @ params["wh"][:, self.hidden :]

    def gate(
        self, params: Params, u: Any, v: tuple[Array, Array], state: HiddenState
    ) -> tuple[HiddenState, Array]:
        del params
        v_f, v_n = v
        u_f, u_n = u
        f = jax.nn.sigmoid(u_f + v_f)
        n = jnp.tanh(u_n + v_n)
        h = (1 - f) * state.h + f * n
        return HiddenState(h), h
