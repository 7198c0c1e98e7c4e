"""The long short-term memory with a forget gate.

Source: F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget: continual prediction with
LSTM", Neural Computation 12 (2000); the form without peepholes that PyTorch, Keras, Flax and cuDNN
compute.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from rnnlab.arrays import Input, Output, Params
from rnnlab.cells.base import CarouselState
from rnnlab.cells.carousel import ForgetGateCell


@dataclasses.dataclass(frozen=True)
class LSTM(ForgetGateCell):
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
    def gate_names(self) -> tuple[str, ...]:
        return ("i", "f", "g", "o")

    def step(self, params: Params, x: Input, state: CarouselState) -> tuple[CarouselState, Output]:
        """One step, as above."""
        z_i, z_f, z_g, z_o = self.affine(params, x, state.h)
        i, f, o = jax.nn.sigmoid(z_i), jax.nn.sigmoid(z_f), jax.nn.sigmoid(z_o)
        g = jnp.tanh(z_g)
        c = f * state.c + i * g
        h = o * jnp.tanh(c)
        return CarouselState(h=h, c=c), h
