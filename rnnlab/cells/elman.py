"""Simple recurrent networks: Elman's, and the additive identity recurrence.

Source: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990). The rectified
network with identity recurrence is the IRNN of Le, Jaitly and Hinton (2015).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Input, Key, Output, Params
from rnnlab.cells.base import HiddenState, StandardCell, activation_by_name
from rnnlab.sizes import check_positive


@dataclasses.dataclass(frozen=True)
class Elman(StandardCell):
    """`h' = φ(x @ wx + h @ wh + b)`, `y = h'`.

    Attributes:
      activation: φ, one of tanh, relu, sigmoid, identity.
    """

    activation: str = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        activation_by_name(self.activation)

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """`h' = φ(x @ wx + h @ wh + b)`."""
        (z,) = self.affine(params, x, state.h)
        h = activation_by_name(self.activation)(z)
        return HiddenState(h), h


@dataclasses.dataclass(frozen=True)
class AdditiveIdentity(StandardCell):
    """`h' = h + φ(x @ wx + b)`, `y = h'`: the recurrence whose state Jacobian is the identity.

    It is the limit that residual networks and the LSTM's carousel approach: what is stored is
    never forgotten, and no gradient vanishes. There is no recurrent matrix.

    Attributes:
      activation: φ, one of tanh, relu, sigmoid, identity.
    """

    activation: str = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        activation_by_name(self.activation)

    @property
    def recurrent_gate_names(self) -> tuple[str, ...]:
        return ()

    def init(self, key: Key, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `{"wx": [D, H], "b": [H]}`."""
        check_positive("features_in", features_in)
        key_wx, _ = jax.random.split(key)
        return {
            "wx": self.draw_wx(key_wx, (features_in, self.hidden), dtype),
            "b": jnp.zeros((self.hidden,), dtype),
        }

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """`h' = h + φ(x @ wx + b)`."""
        (z,) = self.affine_input(params, x)
        h = state.h + activation_by_name(self.activation)(z)
        return HiddenState(h), h
