"""What the cells of the LSTM family share: the state `(h, c)` and the biases of the forget gate."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Key, Params
from rnnlab.cells.base import CarouselState, StandardCell, set_gate
from rnnlab.cells.biases import check_chrono, check_forget_bias, draw_chrono


@dataclasses.dataclass(frozen=True)
class CarouselCell(StandardCell):
    """A cell whose memory is a carousel `c` beside its output `h`."""

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32
    ) -> CarouselState:
        """The state before the first step: zeros, `h` and `c` of `[*batch_shape, H]` each."""
        shape = (*batch_shape, self.hidden)  # two buffers, so that a step may be given both
        return CarouselState(h=jnp.zeros(shape, dtype), c=jnp.zeros(shape, dtype))


@dataclasses.dataclass(frozen=True)
class ForgetGateCell(CarouselCell):
    """A carousel with gates `i` and `f` whose biases set how long it remembers.

    Attributes:
      forget_bias: initial value of the forget gate's part of `b`; one keeps memories for about
        `-1 / ln σ(1) = 3.2` steps at the start (Gers 2000; Jozefowicz et al. 2015).
      chrono: longest dependency `T_max` in steps; if given, `b_f ~ log U(1, T_max - 1)` and
        `b_i = -b_f` take the place of `forget_bias` (Tallec and Ollivier 2018, section 2).
    """

    forget_bias: float = 1.0
    chrono: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_forget_bias(self.forget_bias)
        object.__setattr__(self, "chrono", check_chrono(self.chrono))

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `wx`, `wh` and `b`, the latter zero but for the memory."""
        params = super().init(key, features_in, dtype)
        if self.chrono is None:
            return params | {"b": set_gate(self, params["b"], "f", self.forget_bias)}
        b_f = draw_chrono(key, self.hidden, self.chrono, dtype)
        b = set_gate(self, params["b"], "f", b_f)
        return params | {"b": set_gate(self, b, "i", -b_f)}
