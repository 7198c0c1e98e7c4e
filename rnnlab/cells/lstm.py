"""The long short-term memory with a forget gate.

Source: F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget: continual prediction with
LSTM", Neural Computation 12 (2000); the form without peepholes that PyTorch, Keras, Flax and cuDNN
compute.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnnlab.cells.base import Array, CarouselState, GatedCell
from rnnlab.cells.carousel import ForgetGateCell


@dataclasses.dataclass(frozen=True)
class LSTM(ForgetGateCell, GatedCell):
    """The LSTM cell, gates in the order `i, f, g, o`.

        i, f, o = σ(x @ wx + h @ wh + b)     input, forget and output gate
        g = tanh(x @ wx + h @ wh + b)        candidate
        c' = f * c + i * g
        h' = o * tanh(c'),  y = h'

    Attributes:
      forget_bias: initial value of the forget gate's part of `b`; one keeps memories for about
        `-1 / ln σ(1) = 3.2` steps at the start (Gers 2000; Jozefowicz et al. 2015).
      chrono: longest dependency `T_max` in steps; if given, `b_f ~ log U(1, T_max - 1)` and
        `b_i = -b_f` take the place of `forget_bias` (Tallec and Ollivier 2018, section 2).
    """

    @property
    def gates(self) -> dict[str, Callable[[Array], Array]]:
        return {"i": jax.nn.sigmoid, "f": jax.nn.sigmoid, "g": jnp.tanh, "o": jax.nn.sigmoid}

    def update(self, gates: tuple[Array, ...], state: CarouselState) -> tuple[CarouselState, Array]:
        i, f, g, o = gates
        c = f * state.c + i * g
        h = o * jnp.tanh(c)
        return CarouselState(h=h, c=c), h
