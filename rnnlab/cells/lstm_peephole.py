"""Two LSTMs with other gates: one whose gates look at the carousel, one whose gates are coupled."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab import initializers
from rnnlab.arrays import Array, Input, Key, Output, Params
from rnnlab.cells.base import CarouselState, Initializer, own_initializers, set_gate
from rnnlab.cells.biases import check_forget_bias
from rnnlab.cells.carousel import CarouselCell, ForgetGateCell


def draw_peepholes(
    key: Key, p_init: Initializer | str, count: int, hidden: int, dtype: DTypeLike
) -> Array:
    """Peephole weights `p [count, H]`, a row for each gate; one weight is a unit's whole fan-in."""
    # Not 0, 1 or 2, which are the keys of wx, wh and the chrono biases.
    keys = jax.random.split(jax.random.fold_in(key, 3), count)
    init = initializers.as_initializer("p_init", p_init)
    return jnp.concatenate([init(each, (1, hidden), dtype) for each in keys])


@dataclasses.dataclass(frozen=True)
class PeepholeLSTM(ForgetGateCell):
    """The LSTM whose gates see the carousel, gates in the order `i, f, g, o`.

        i, f = σ(x @ wx + h @ wh + p * c + b)    see the carousel as it was
        g = tanh(x @ wx + h @ wh + b)
        c' = f * c + i * g
        o = σ(x @ wx + h @ wh + p * c' + b)      sees it as it will be
        h' = o * tanh(c'),  y = h'

    The weights `p [3, H]` hold one number per unit for `i`, `f` and `o`, in this order.

    Source: F. A. Gers and J. Schmidhuber, "Recurrent nets that time and count" (2000).

    Attributes:
      forget_bias: as in LSTM.
      chrono: as in LSTM.
      p_init: initialiser of each gate's row of `p`, called with the shape `[1, H]`.
    """

    p_init: Initializer | str = dataclasses.field(default=initializers.Gaussian(0.1), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        own_initializers(self, "p_init")

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("i", "f", "g", "o")

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx [D, 4H]`, `wh [H, 4H]`, `b [4H]` and `p [3, H]`."""
        p = draw_peepholes(key, self.p_init, 3, self.hidden, dtype)
        return super().init(key, features_in, dtype) | {"p": p}

    def step(self, params: Params, x: Input, state: CarouselState) -> tuple[CarouselState, Output]:
        """One step, as above."""
        p_i, p_f, p_o = params["p"]
        z_i, z_f, z_g, z_o = self.affine(params, x, state.h)
        i = jax.nn.sigmoid(z_i + p_i * state.c)
        f = jax.nn.sigmoid(z_f + p_f * state.c)
        c = f * state.c + i * jnp.tanh(z_g)
        h = jax.nn.sigmoid(z_o + p_o * c) * jnp.tanh(c)
        return CarouselState(h=h, c=c), h


@dataclasses.dataclass(frozen=True)
class CoupledLSTM(CarouselCell):
    """The LSTM that forgets exactly where it writes, `f = 1 - i`, gates in the order `i, g, o`.

        i, o = σ(x @ wx + h @ wh + b)
        g = tanh(x @ wx + h @ wh + b)
        c' = (1 - i) * c + i * g
        h' = o * tanh(c'),  y = h'

    Source: the coupled gates of K. Greff et al., "LSTM: a search space odyssey" (2017),
    here without peepholes; with them it is `GreffLSTM(hidden, "CIFG")`.

    Attributes:
      forget_bias: initial bias of the implied forget gate. As `1 - σ(b_i) = σ(-b_i)`, the input
        gate's part of `b` starts at `-forget_bias`.
    """

    forget_bias: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_forget_bias(self.forget_bias)

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("i", "g", "o")

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx [D, 3H]`, `wh [H, 3H]` and `b [3H]`."""
        params = super().init(key, features_in, dtype)
        return params | {"b": set_gate(self, params["b"], "i", -self.forget_bias)}

    def step(self, params: Params, x: Input, state: CarouselState) -> tuple[CarouselState, Output]:
        """One step, as above."""
        z_i, z_g, z_o = self.affine(params, x, state.h)
        i, o = jax.nn.sigmoid(z_i), jax.nn.sigmoid(z_o)
        c = (1 - i) * state.c + i * jnp.tanh(z_g)
        h = o * jnp.tanh(c)
        return CarouselState(h=h, c=c), h
