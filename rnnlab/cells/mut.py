"""The three best cells of an evolutionary search over some ten thousand: MUT1, MUT2 and MUT3.

Source: R. Jozefowicz, W. Zaremba and I. Sutskever, "An empirical exploration of recurrent network
architectures" (2015). As in the paper a large update gate `z` replaces the old state, unlike that
of the GRU here, which keeps it.

MUT1 and MUT2 add the input itself, which takes as many features as there are units. For `D != H` it
goes through a learned matrix `wp [D, H]` first, which exists in that case only.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab import initializers
from rnnlab.arrays import Array, Input, Key, Output, Params
from rnnlab.cells.base import HiddenState, StandardCell, by_gate
from rnnlab.sizes import check_positive


@dataclasses.dataclass(frozen=True)
class _Mutation(StandardCell):
    """What the three share: parameters for the gates `r, z, n`, and the last line of the step."""

    #: Gates with columns in `wx`.
    input_gate_names: ClassVar[tuple[str, ...]] = ("r", "z", "n")
    #: Whether one of the others takes the input as it is.
    takes_input: ClassVar[bool] = True

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("r", "z", "n")

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx`, `wh` for the gates that have them, `b [3H]`, and `wp [D, H]` if needed."""
        check_positive("features_in", features_in)
        key_wx, key_wh, key_wp = jax.random.split(key, 3)
        wide_in = len(self.input_gate_names) * self.hidden
        wide_recurrent = len(self.recurrent_gate_names) * self.hidden
        wh_init = initializers.GateBlocks(self.wh_init)
        params = {
            "wx": self.draw_wx(key_wx, (features_in, wide_in), dtype),
            "wh": wh_init(key_wh, (self.hidden, wide_recurrent), dtype),
            "b": jnp.zeros((3 * self.hidden,), dtype),
        }
        if self.takes_input and features_in != self.hidden:
            params["wp"] = self.draw_wx(key_wp, (features_in, self.hidden), dtype)
        return params


def _matrices(params: Params) -> tuple[tuple[Array, ...], tuple[Array, ...], tuple[Array, ...]]:
    """The gate blocks of `wx`, `wh` and `b`."""
    hidden = params["wh"].shape[0]
    wx, wh, b = (params[name] for name in ("wx", "wh", "b"))
    return tuple(by_gate(w, w.shape[-1] // hidden) for w in (wx, wh, b))  # pyright: ignore[reportReturnType]


def _input_itself(params: Params, x: Input) -> Array:
    return x @ params["wp"] if "wp" in params else x


def _mixed(z: Array, n: Array, h: Array) -> tuple[HiddenState, Output]:
    h = z * n + (1 - z) * h
    return HiddenState(h), h


@dataclasses.dataclass(frozen=True)
class MUT1(_Mutation):
    """MUT1: the update gate sees the input alone, the candidate sees `tanh(x)`.

        z = σ(x @ wx + b)
        r = σ(x @ wx + h @ wh + b)
        n = tanh(tanh(x) + (r * h) @ wh + b)
        h' = z * n + (1 - z) * h,  y = h'

    Columns of `wx` in the order `r, z`, of `wh` `r, n`, of `b` `r, z, n`.
    """

    input_gate_names = ("r", "z")

    @property
    def recurrent_gate_names(self) -> tuple[str, ...]:
        return ("r", "n")

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """One step, as above."""
        h = state.h
        (wx_r, wx_z), (wh_r, wh_n), (b_r, b_z, b_n) = _matrices(params)
        z = jax.nn.sigmoid(x @ wx_z + b_z)
        r = jax.nn.sigmoid(x @ wx_r + b_r + h @ wh_r)
        n = jnp.tanh(jnp.tanh(_input_itself(params, x)) + b_n + (r * h) @ wh_n)
        return _mixed(z, n, h)


@dataclasses.dataclass(frozen=True)
class MUT2(_Mutation):
    """MUT2: the reset gate sees the input as it is.

        z = σ(x @ wx + h @ wh + b)
        r = σ(x + h @ wh + b)
        n = tanh(x @ wx + (r * h) @ wh + b)
        h' = z * n + (1 - z) * h,  y = h'

    Columns of `wx` in the order `z, n`, of `wh` and `b` `r, z, n`.
    """

    input_gate_names = ("z", "n")

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """One step, as above."""
        h = state.h
        (wx_z, wx_n), (wh_r, wh_z, wh_n), (b_r, b_z, b_n) = _matrices(params)
        z = jax.nn.sigmoid(x @ wx_z + b_z + h @ wh_z)
        r = jax.nn.sigmoid(_input_itself(params, x) + b_r + h @ wh_r)
        n = jnp.tanh(x @ wx_n + b_n + (r * h) @ wh_n)
        return _mixed(z, n, h)


@dataclasses.dataclass(frozen=True)
class MUT3(_Mutation):
    """MUT3: the update gate sees `tanh(h)`.

        z = σ(x @ wx + tanh(h) @ wh + b)
        r = σ(x @ wx + h @ wh + b)
        n = tanh(x @ wx + (r * h) @ wh + b)
        h' = z * n + (1 - z) * h,  y = h'

    Columns in the order `r, z, n`.
    """

    takes_input = False

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """One step, as above."""
        h = state.h
        (wx_r, wx_z, wx_n), (wh_r, wh_z, wh_n), (b_r, b_z, b_n) = _matrices(params)
        z = jax.nn.sigmoid(x @ wx_z + b_z + jnp.tanh(h) @ wh_z)
        r = jax.nn.sigmoid(x @ wx_r + b_r + h @ wh_r)
        n = jnp.tanh(x @ wx_n + b_n + (r * h) @ wh_n)
        return _mixed(z, n, h)
