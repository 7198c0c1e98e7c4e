"""The LSTM with peepholes and the eight ablations that show which of its parts matter.

Source: K. Greff, R. K. Srivastava, J. Koutník, B. R. Steunebrink and J. Schmidhuber, "LSTM: a
search space odyssey", IEEE Transactions on Neural Networks and Learning Systems 28 (2017).
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab import initializers
from rnnlab.arrays import Array, Hidden, Input, Key, Output, Params
from rnnlab.cells.base import CarouselState, Initializer, own_initializers, set_gate, times
from rnnlab.cells.biases import check_forget_bias
from rnnlab.cells.carousel import CarouselCell
from rnnlab.cells.lstm_peephole import draw_peepholes
from rnnlab.errors import UsageError

#: The gate that a variant lacks, by the variant's name in the paper; "" where it lacks none.
VARIANTS = {
    "vanilla": "",
    "NIG": "i",
    "NFG": "f",
    "NOG": "o",
    "NIAF": "",
    "NOAF": "",
    "CIFG": "f",
    "NP": "",
    "FGR": "",
}


class GateRecurrentState(NamedTuple):
    """State of the variant FGR: beside `h` and `c` the gates of the last step, `[..., H]` each."""

    h: Hidden
    c: Hidden
    i: Hidden
    f: Hidden
    o: Hidden


@dataclasses.dataclass(frozen=True)
class GreffLSTM(CarouselCell):
    """The LSTM with peepholes (vanilla), or with one thing changed.

        i, f = σ(x @ wx + h @ wh + p * c + b)
        g = tanh(x @ wx + h @ wh + b)
        c' = f * c + i * g
        o = σ(x @ wx + h @ wh + p * c' + b)
        h' = o * tanh(c'),  y = h'

    The variants: no input gate (NIG, `i = 1`), no forget gate (NFG, `f = 1`), no output gate (NOG,
    `o = 1`), no input activation (NIAF, `g` without `tanh`), no output activation (NOAF, `h' = o *
    c'`), coupled input and forget gate (CIFG, `f = 1 - i`), no peepholes (NP, `p = 0`), full gate
    recurrence (FGR: the gates also receive `(i, f, o) @ wg` of the step before).

    Gate blocks are in the order `i, f, g, o`, the rows of `p` in the order `i, f, o`; a gate that
    is removed has none. In FGR `wg [3H, 3H]` holds nine matrices, from and to `i`, `f` and `o`, and
    the gates join the state, zero before the first step.

    Attributes:
      variant: one of vanilla, NIG, NFG, NOG, NIAF, NOAF, CIFG, NP, FGR.
      forget_bias: initial value of the forget gate's part of `b`. In CIFG the input gate starts at
        `-forget_bias`, as `1 - σ(b_i) = σ(-b_i)`; NFG has no forget gate and does not read it.
      p_init: initialiser of each gate's row of `p`, called with the shape `[1, H]`.
    """

    variant: str = "vanilla"
    forget_bias: float = 1.0
    p_init: Initializer | str = dataclasses.field(default=initializers.Gaussian(0.1), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        own_initializers(self, "p_init")
        check_forget_bias(self.forget_bias)
        if self.variant not in VARIANTS:
            raise UsageError(
                f"variant={self.variant!r}: unknown, choose one of {', '.join(VARIANTS)}"
            )

    @property
    def gate_names(self) -> tuple[str, ...]:
        return tuple(name for name in "ifgo" if name != VARIANTS[self.variant])

    @property
    def peepholes(self) -> tuple[str, ...]:
        """The gates that have a row in `p`."""
        return (
            () if self.variant == "NP" else tuple(name for name in self.gate_names if name != "g")
        )

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx [D, kH]`, `wh [H, kH]`, `b [kH]`, `p [j, H]` for `j` peepholes, and `wg`."""
        params = super().init(key, features_in, dtype)
        if "f" in self.gate_names:
            params["b"] = set_gate(self, params["b"], "f", self.forget_bias)
        elif self.variant == "CIFG":
            params["b"] = set_gate(self, params["b"], "i", -self.forget_bias)
        if self.peepholes:
            count = len(self.peepholes)
            params["p"] = draw_peepholes(key, self.p_init, count, self.hidden, dtype)
        if self.variant == "FGR":
            init = initializers.GateBlocks(self.wh_init)
            keys = jax.random.split(jax.random.fold_in(key, 4), 3)
            rows = [init(each, (self.hidden, 3 * self.hidden), dtype) for each in keys]
            params["wg"] = jnp.concatenate(rows)
        return params

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> CarouselState | GateRecurrentState:
        """The state before the first step: zeros, each part `[*batch_shape, H]`."""
        state = super().initial_state(batch_shape, dtype)
        if self.variant != "FGR":
            return state
        i, f, o = (jnp.zeros_like(state.h) for _ in "ifo")
        return GateRecurrentState(*state, i=i, f=f, o=o)

    def step(
        self, params: Params, x: Input, state: CarouselState | GateRecurrentState
    ) -> tuple[CarouselState | GateRecurrentState, Output]:
        """One step, as above."""
        z = dict(zip(self.gate_names, self.affine(params, x, state.h), strict=True))
        if isinstance(state, GateRecurrentState):
            gates = jnp.concatenate([state.i, state.f, state.o], axis=-1)
            for name, w in zip("ifo", times(gates, params["wg"], 3), strict=True):
                z[name] += w
        p = dict(zip(self.peepholes, params.get("p", ()), strict=True))

        def open_gate(name: str, c: Array) -> Array:
            if name not in z:
                return jnp.ones_like(c)
            return jax.nn.sigmoid(z[name] + p[name] * c if name in p else z[name])

        i = open_gate("i", state.c)
        f = 1 - i if self.variant == "CIFG" else open_gate("f", state.c)
        g = z["g"] if self.variant == "NIAF" else jnp.tanh(z["g"])
        c = f * state.c + i * g
        o = open_gate("o", c)
        h = o * (c if self.variant == "NOAF" else jnp.tanh(c))
        if self.variant == "FGR":
            return GateRecurrentState(h=h, c=c, i=i, f=f, o=o), h
        return CarouselState(h=h, c=c), h
