"""The delay equation of Mackey and Glass."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Float, Input, Key, Output, Params
from rnnlab.errors import UsageError
from rnnlab.systems.base import System

GROWTH, DECAY, POWER = 0.2, 0.1, 10


class Past(NamedTuple):
    """The state of a delay equation: what it was on the last N steps of the integrator.

    Attributes:
      values: `x` from `t - τ` to `t`, `[*batch, N+1]`.
      slopes: `dx/dt` from `t - τ` to `t - h`, `[*batch, N]`.
    """

    values: Float[Array, "*batch N+1"]
    slopes: Float[Array, "*batch N"]


@dataclasses.dataclass(frozen=True)
class MackeyGlass(System):
    """`dx/dt = 0.2 x(t-τ) / (1 + x(t-τ)¹⁰) - 0.1 x`, with τ = 17.

    The step is that of Runge and Kutta, whose order 4 the delayed value in the middle of a step
    keeps: it is that of the cubic through values and slopes at both ends of its step (A. Bellen and
    M. Zennaro, "Numerical methods for delay differential equations", 2003, chapter 6).

    Source: M. C. Mackey and L. Glass, "Oscillation and chaos in physiological control systems"
    (1977). The largest exponent for τ = 17 is 0.0052, as the tests measure it by tangents, and by
    two trajectories with another integrator; 0.0058 is also quoted.

    Attributes:
      delay: τ, a whole number of steps of the integrator.
    """

    interval: float = 1.0
    substeps: int = 10
    delay: float = 17.0

    EXPONENT: ClassVar[float] = 0.0052
    SETTLING: ClassVar[float] = 1000.0

    def __post_init__(self) -> None:
        """Checks that the delay is a whole number of steps."""
        super().__post_init__()
        steps = self.delay * self.substeps / self.interval
        if not (steps >= 2 and abs(steps - round(steps)) < 1e-9 * steps):
            raise UsageError(
                f"delay={self.delay}: must be a whole number, of at least 2, of steps of "
                f"{self.interval / self.substeps:g}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The variable."""
        return ("x",)

    @property
    def delay_steps(self) -> int:
        """Steps N of the integrator in the delay."""
        return round(self.delay * self.substeps / self.interval)

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float64
    ) -> Past:
        """A constant past of 1.2."""
        values = jnp.full((*batch_shape, self.delay_steps + 1), 1.2, dtype)
        return Past(values, jnp.zeros((*batch_shape, self.delay_steps), dtype))

    def started(self, key: Key, batch: int) -> Past:
        """Constant pasts between 0.9 and 1.5."""
        values, slopes = self.initial_state((batch,))
        return Past(values + jax.random.uniform(key, (batch, 1), values.dtype, -0.3, 0.3), slopes)

    def step(self, params: Params, x: Input, state: Past) -> tuple[Past, Output]:
        """The past one interval later, and its last value."""
        del params, x
        for _ in range(self.substeps):
            state = self._substep(state)
        return state, state.values[..., -1:]

    def _substep(self, past: Past) -> Past:
        values, slopes = past
        h, x = self.interval / self.substeps, values[..., -1:]
        first, last = values[..., :1], values[..., 1:2]
        middle = (first + last) / 2 + h / 8 * (slopes[..., :1] - slopes[..., 1:2])
        k1 = slope(x, first)
        k2 = slope(x + h / 2 * k1, middle)
        k3 = slope(x + h / 2 * k2, middle)
        k4 = slope(x + h * k3, last)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return Past(
            jnp.concatenate([values[..., 1:], x], axis=-1),
            jnp.concatenate([slopes[..., 1:], k1], axis=-1),
        )


def slope(x: Array, delayed: Array) -> Array:
    """`dx/dt` for a value now and one before the delay."""
    return GROWTH * delayed / (1 + delayed**POWER) - DECAY * x
