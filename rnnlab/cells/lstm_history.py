"""The LSTM before its forget gate: the bare carousel, and the carousel behind two gates.

Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997). The
paper squashes with `g = 4σ(z) - 2` and `h = 2σ(z) - 1`; here both are `tanh`, as in the later
cells, so that they differ by their gates alone.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from rnnlab.arrays import Input, Output, Params
from rnnlab.cells.base import CarouselState
from rnnlab.cells.carousel import CarouselCell


@dataclasses.dataclass(frozen=True)
class ConstantErrorCarousel(CarouselCell):
    """The carousel without any gate, one gate block `g`.

        c' = c + tanh(x @ wx + h @ wh + b)
        h' = tanh(c'),  y = h'

    The paper's section 3.2: the error that flows back from `c'` to `c` by this path is constant.
    """

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("g",)

    def step(self, params: Params, x: Input, state: CarouselState) -> tuple[CarouselState, Output]:
        """One step, as above."""
        (z_g,) = self.affine(params, x, state.h)
        c = state.c + jnp.tanh(z_g)
        h = jnp.tanh(c)
        return CarouselState(h=h, c=c), h


@dataclasses.dataclass(frozen=True)
class LSTM1997(CarouselCell):
    """The LSTM without a forget gate, gates in the order `i, g, o`.

        i, o = σ(x @ wx + h @ wh + b)        input and output gate
        g = tanh(x @ wx + h @ wh + b)        candidate
        c' = c + i * g
        h' = o * tanh(c'),  y = h'

    The gradients here are the true ones. The paper cut those that leave a memory cell through its
    gates and inputs (its appendix A.1), and learned in real time with what was left.
    """

    @property
    def gate_names(self) -> tuple[str, ...]:
        return ("i", "g", "o")

    def step(self, params: Params, x: Input, state: CarouselState) -> tuple[CarouselState, Output]:
        """One step, as above."""
        z_i, z_g, z_o = self.affine(params, x, state.h)
        i, o = jax.nn.sigmoid(z_i), jax.nn.sigmoid(z_o)
        c = state.c + i * jnp.tanh(z_g)
        h = o * jnp.tanh(c)
        return CarouselState(h=h, c=c), h
