"""The gated recurrent unit, with its reset gate after or before the product.

Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014), version 1
for the reset after the product (that of cuDNN, PyTorch and Flax), version 3 for the reset before.

The update gate is that of Cho et al. (equation 7), PyTorch, Flax and Keras,
`h' = (1 - z) * n + z * h`: a large `z` keeps the old state. Texts that write
`(1 - z) * h + z * n`, as J. Chung et al., "Empirical evaluation of gated recurrent neural networks
on sequence modeling" (2014), swap `z` for `1 - z`.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Input, Key, Output, Params
from rnnlab.cells.base import HiddenState, StandardCell, by_gate, set_gate, times
from rnnlab.cells.biases import check_chrono, draw_chrono


@dataclasses.dataclass(frozen=True)
class _UpdateGateCell(StandardCell):
    """What both forms share: the gates, and the bias of the update gate."""

    chrono: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "chrono", check_chrono(self.chrono))

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("r", "z", "n")

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx [D, 3H]`, `wh [H, 3H]` and `b [3H]`."""
        params = super().init(key, features_in, dtype)
        if self.chrono is None:
            return params
        b_z = draw_chrono(key, self.hidden, self.chrono, dtype)
        return params | {"b": set_gate(self, params["b"], "z", b_z)}


@dataclasses.dataclass(frozen=True)
class GRU(_UpdateGateCell):
    """The GRU whose reset gate acts after the product, gates in the order `r, z, n`.

        r, z = σ(x @ wx + h @ wh + b)        reset and update gate
        n = tanh(x @ wx + b + r * (h @ wh + bh))
        h' = (1 - z) * n + z * h,  y = h'

    The candidate's recurrent bias `bh [H]` is inside the reset, so that it is a parameter of
    its own; a recurrent bias of `r` and `z` would only add to `b`.

    Attributes:
      chrono: longest dependency `T_max` in steps; if given, the update gate's part of `b` starts at
        `log U(1, T_max - 1)` instead of zero (Tallec and Ollivier 2018, section 2).
    """

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx [D, 3H]`, `wh [H, 3H]`, `b [3H]` and `bh [H]`."""
        return super().init(key, features_in, dtype) | {"bh": jnp.zeros((self.hidden,), dtype)}

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """One step, as above."""
        u_r, u_z, u_n = self.affine_input(params, x)
        v_r, v_z, v_n = times(state.h, params["wh"], 3)
        r = jax.nn.sigmoid(u_r + v_r)
        z = jax.nn.sigmoid(u_z + v_z)
        n = jnp.tanh(u_n + r * (v_n + params["bh"]))
        h = (1 - z) * n + z * state.h
        return HiddenState(h), h


@dataclasses.dataclass(frozen=True)
class GRUResetBefore(_UpdateGateCell):
    """The GRU whose reset gate acts before the product, gates in the order `r, z, n`.

        r, z = σ(x @ wx + h @ wh + b)
        n = tanh(x @ wx + (r * h) @ wh + b)
        h' = (1 - z) * n + z * h,  y = h'

    Attributes:
      chrono: as in GRU.
    """

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """One step, as above."""
        w_r, w_z, w_n = by_gate(params["wh"], 3)
        u_r, u_z, u_n = self.affine_input(params, x)
        r = jax.nn.sigmoid(u_r + state.h @ w_r)
        z = jax.nn.sigmoid(u_z + state.h @ w_z)
        n = jnp.tanh(u_n + (r * state.h) @ w_n)
        h = (1 - z) * n + z * state.h
        return HiddenState(h), h
