"""The system of Lorenz."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Input, Key, Output, Params
from rnnlab.cells import HiddenState
from rnnlab.systems.base import System
from rnnlab.systems.runge_kutta import rk4

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3

#: The variables one by one: XLA computes them in one kernel, as it does not where they are stacked.
Variables = tuple[Array, Array, Array]


@dataclasses.dataclass(frozen=True)
class Lorenz(System):
    """`dx/dt = σ (y - x)`, `dy/dt = x (ρ - z) - y`, `dz/dt = x y - β z`, σ = 10, ρ = 28, β = 8/3.

    Source: E. N. Lorenz, "Deterministic nonperiodic flow" (1963). Its exponents are 0.9056, 0 and
    -14.5723 (J. C. Sprott, "Chaos and time-series analysis", 2003).
    """

    interval: float = 0.025
    substeps: int = 5

    EXPONENT: ClassVar[float] = 0.9056
    SETTLING: ClassVar[float] = 25.0

    @property
    def names(self) -> tuple[str, ...]:
        """The variables."""
        return ("x", "y", "z")

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float64
    ) -> HiddenState:
        """All variables are 1."""
        return HiddenState(jnp.ones((*batch_shape, 3), dtype))

    def started(self, key: Key, batch: int) -> HiddenState:
        """Variables around 1."""
        ones = self.initial_state((batch,)).h
        return HiddenState(ones + jax.random.normal(key, ones.shape, ones.dtype))

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """The variables after one interval."""
        del params, x
        variables = (state.h[..., 0], state.h[..., 1], state.h[..., 2])
        for _ in range(self.substeps):
            variables = rk4(flow, variables, self.interval / self.substeps)
        h = jnp.stack(variables, axis=-1)
        return HiddenState(h), h


def flow(variables: Variables) -> Variables:
    """The derivatives of x, y and z."""
    x, y, z = variables
    return SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z
