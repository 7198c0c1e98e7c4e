"""The three best cells of an evolutionary search over some ten thousand: MUT1, MUT2 and MUT3.

Source: R. Jozefowicz, W. Zaremba and I. Sutskever, "An empirical exploration of recurrent network
architectures" (2015). As in the paper a large update gate `z` replaces the old state, unlike that
of the GRU here, which keeps it.

MUT1 and MUT2 add the input itself, which takes as many features as there are units. For `D != H` it
goes through a learned matrix `wp [D, H]` first, which exists in that case only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab import initializers
from rnnlab.cells.base import (
    Array,
    Cell,
    HiddenState,
    Params,
    add,
    by_gate,
    check_positive,
    times,
)


@dataclasses.dataclass(frozen=True)
class _Mutation(Cell):
    """What the three share: `u` in the order `r, z, n`, and the update from it."""

    reset_first = True

    #: Gates with columns in `wx`.
    input_blocks: ClassVar[tuple[str, ...]] = ("r", "z", "n")
    #: Whether one of the others takes the input as it is.
    takes_input: ClassVar[bool] = True

    @property
    def blocks(self) -> tuple[str, ...]:
        return ("r", "z", "n")

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx`, `wh` for the gates that have them, `b [3H]`, and `wp [D, H]` if needed."""
        check_positive("features_in", features_in)
        key_wx, key_wh, key_wp = jax.random.split(key, 3)
        wide_in = len(self.input_blocks) * self.hidden
        wide_recurrent = len(self.recurrent_blocks) * self.hidden
        wh_init = initializers.Blocks(self.wh_init)
        params = {
            "wx": self.wx_init(key_wx, (features_in, wide_in), dtype),
            "wh": wh_init(key_wh, (self.hidden, wide_recurrent), dtype),
            "b": jnp.zeros((3 * self.hidden,), dtype),
        }
        if self.takes_input and features_in != self.hidden:
            params["wp"] = self.wx_init(key_wp, (features_in, self.hidden), dtype)
        return params

    def recur(self, params: Params, state: HiddenState) -> tuple[Array, ...]:
        """`v = h @ wh` for the gates before the reset."""
        before = len(self.recurrent_blocks) - 1
        return times(state.h, params["wh"][:, : -self.hidden], before)

    def operand(self, params: Params, u: Any, v: Any, state: HiddenState) -> Array:
        """`r * h`."""
        del params
        return jax.nn.sigmoid(u[0] + v[0]) * state.h

    def recur_operand(self, params: Params, operand: Array) -> Array:
        """`(r * h) @ wh` for the candidate."""
        return operand @ params["wh"][:, -self.hidden :]

    def gate(self, params: Params, u: Any, v: Any, state: HiddenState) -> tuple[HiddenState, Array]:
        """`h' = z * n + (1 - z) * h`."""
        del params
        v_rz, v_n = v
        _, u_z, u_n = u
        z = jax.nn.sigmoid(u_z + v_rz[1] if "z" in self.recurrent_blocks else u_z)
        n = jnp.tanh(u_n + v_n)
        h = z * n + (1 - z) * state.h
        return HiddenState(h), h


def _input_itself(params: Params, x: Array) -> Array:
    return x @ params["wp"] if "wp" in params else x


@dataclasses.dataclass(frozen=True)
class MUT1(_Mutation):
    """MUT1: the update gate sees the input alone, the candidate sees `tanh(x)`.

        z = σ(x @ wx + b)
        r = σ(x @ wx + h @ wh + b)
        n = tanh(tanh(x) + (r * h) @ wh + b)
        h' = z * n + (1 - z) * h,  y = h'

    Columns of `wx` in the order `r, z`, of `wh` `r, n`, of `b` `r, z, n`.
    """

    input_blocks = ("r", "z")

    @property
    def recurrent_blocks(self) -> tuple[str, ...]:
        return ("r", "n")

    def project(self, params: Params, x: Array) -> tuple[Array, ...]:
        u_n = jnp.tanh(_input_itself(params, x))
        return add((*times(x, params["wx"], 2), u_n), by_gate(params["b"], 3))


@dataclasses.dataclass(frozen=True)
class MUT2(_Mutation):
    """MUT2: the reset gate sees the input as it is.

        z = σ(x @ wx + h @ wh + b)
        r = σ(x + h @ wh + b)
        n = tanh(x @ wx + (r * h) @ wh + b)
        h' = z * n + (1 - z) * h,  y = h'

    Columns of `wx` in the order `z, n`, of `wh` and `b` `r, z, n`.
    """

    input_blocks = ("z", "n")

    def project(self, params: Params, x: Array) -> tuple[Array, ...]:
        u_r = _input_itself(params, x)
        return add((u_r, *times(x, params["wx"], 2)), by_gate(params["b"], 3))


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

    def recur(self, params: Params, state: HiddenState) -> tuple[Array, ...]:
        w_r, w_z, _ = by_gate(params["wh"], 3)
        return state.h @ w_r, jnp.tanh(state.h) @ w_z
