"""Simple recurrent networks: Elman's, and the additive identity recurrence.

Source: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990). The rectified
network with identity recurrence is the IRNN of Le, Jaitly and Hinton (2015).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.cells.base import (
    Array,
    Cell,
    GatedCell,
    HiddenState,
    Params,
    activation_by_name,
    check_positive,
)


@dataclasses.dataclass(frozen=True)
class Elman(GatedCell):
    """`h' = φ(x @ wx + h @ wh + b)`, `y = h'`.

    Attributes:
      activation: φ, one of tanh, relu, sigmoid, identity.
    """

    activation: str = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        activation_by_name(self.activation)

    @property
    def gates(self) -> dict[str, Callable[[Array], Array]]:
        return {"h": activation_by_name(self.activation)}

    def update(self, gates: tuple[Array, ...], state: HiddenState) -> tuple[HiddenState, Array]:
        del state
        (h,) = gates
        return HiddenState(h), h


@dataclasses.dataclass(frozen=True)
class AdditiveIdentity(Cell):
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
    def recurrent_blocks(self) -> tuple[str, ...]:
        return ()

    def init(self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32) -> Params:
        """Draws `{"wx": [D, H], "b": [H]}`."""
        check_positive("features_in", features_in)
        key_wx, _ = jax.random.split(key)
        return {
            "wx": self.wx_init(key_wx, (features_in, self.hidden), dtype),
            "b": jnp.zeros((self.hidden,), dtype),
        }

    def recur(self, params: Params, state: HiddenState) -> tuple[()]:
        del params, state
        return ()

    def gate(
        self, params: Params, u: tuple[Array], v: tuple[()], state: HiddenState
    ) -> tuple[HiddenState, Array]:
        del params, v
        h = state.h + activation_by_name(self.activation)(u[0])
        return HiddenState(h), h
