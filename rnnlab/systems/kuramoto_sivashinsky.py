"""The equation of Kuramoto and Sivashinsky on a ring."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from rnnlab.arrays import Array, Input, Key, Output, Params
from rnnlab.cells import HiddenState
from rnnlab.errors import UsageError
from rnnlab.sizes import check_at_least
from rnnlab.systems.base import System

#: Points of the half circle over which the coefficients of a step are averaged.
CIRCLE = 32


@dataclasses.dataclass(frozen=True)
class KuramotoSivashinsky(System):
    """`u_t = -u u_x - u_xx - u_xxxx` for `u(x, t)` with `u(x + L, t) = u(x, t)`.

    It is integrated in Fourier space by ETDRK4, the Runge-Kutta step of order 4 that solves the
    linear part exactly (A.-K. Kassam and L. N. Trefethen, "Fourth-order time-stepping for stiff
    PDEs", 2005, equations 20 to 29 of S. M. Cox and P. C. Matthews, 2002).

    Source: Y. Kuramoto (1978) and G. I. Sivashinsky (1977); as in J. Pathak et al., "Model-free
    prediction of large spatiotemporally chaotic systems from data" (2018), L = 22 with 64 points
    and an interval of 0.25. It is divided here: with steps of that length, in which short waves
    decay to nothing, the error is of order 3. Its largest exponent is 0.043 to 0.048 (N. B. Budanur
    et al. 2014; R. A. Edson et al., "Lyapunov exponents of the Kuramoto-Sivashinsky PDE", 2019).

    Attributes:
      length: L.
      points: of the ring.
    """

    interval: float = 0.25
    substeps: int = 4
    length: float = 22.0
    points: int = 64

    EXPONENT: ClassVar[float] = 0.043
    SETTLING: ClassVar[float] = 500.0

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        check_at_least("points", self.points, 4)
        if self.points % 2 or not 0 < self.length < float("inf"):
            raise UsageError(
                f"points={self.points}, length={self.length}: must be even and positive"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The values at the points."""
        return tuple(f"u{place}" for place in range(self.points))

    def initial_state(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float64
    ) -> HiddenState:
        """One wave."""
        x = jnp.arange(self.points, dtype=dtype) * (2 * np.pi / self.points)
        return HiddenState(jnp.broadcast_to(jnp.cos(x), (*batch_shape, self.points)))

    def started(self, key: Key, batch: int) -> HiddenState:
        """A wave with noise, of mean 0, which the equation keeps."""
        u = self.initial_state((batch,)).h
        u = u + 0.1 * jax.random.normal(key, u.shape, u.dtype)
        return HiddenState(u - u.mean(axis=-1, keepdims=True))

    def step(self, params: Params, x: Input, state: HiddenState) -> tuple[HiddenState, Output]:
        """The ring after one interval."""
        del params, x
        step = coefficients(self.interval / self.substeps, self.length, self.points)
        v = jnp.fft.rfft(state.h)
        step = Coefficients(*(jnp.asarray(a, v.dtype) for a in step))
        for _ in range(self.substeps):
            v = _etdrk4(step, v, self.points)
        u = jnp.fft.irfft(v, self.points)
        return HiddenState(u), u


class Coefficients(NamedTuple):
    """Of a step, `[points / 2 + 1]` each.

    Attributes:
      whole: `exp(h L)` of the linear part L.
      half: `exp(h L / 2)`.
      q: of the nonlinear part within the step.
      f1: of the nonlinear part at its start.
      f2: in its middle, twice.
      f3: at its end.
      gradient: `-i k / 2`, which makes `-u u_x` of `u²`.
    """

    whole: Any
    half: Any
    q: Any
    f1: Any
    f2: Any
    f3: Any
    gradient: Any


@lru_cache(maxsize=16)
def coefficients(h: float, length: float, points: int) -> Coefficients:
    """The coefficients of a step of length h.

    Those of the nonlinear part are means over a circle around each value: the formulas lose their
    digits where `h L` is small (Kassam and Trefethen 2005, section 3).
    """
    k = 2 * np.pi / length * np.arange(points // 2 + 1)
    linear = h * (k**2 - k**4)
    circle = np.exp(1j * np.pi * (np.arange(1, CIRCLE + 1) - 0.5) / CIRCLE)
    z = linear[:, None] + circle
    e = np.exp(z)

    def mean(values: np.ndarray) -> np.ndarray:
        return h * values.mean(axis=1).real

    gradient = -0.5j * k
    gradient[-1] = 0  # the wave of the shortest length has no derivative on its own points
    return Coefficients(
        np.exp(linear),
        np.exp(linear / 2),
        mean((np.exp(z / 2) - 1) / z),
        mean((-4 - z + e * (4 - 3 * z + z**2)) / z**3),
        mean((2 + z + e * (z - 2)) / z**3),
        mean((-4 - 3 * z - z**2 + e * (4 - z)) / z**3),
        gradient,
    )


def _etdrk4(step: Coefficients, v: Array, points: int) -> Array:
    """One step in Fourier space."""

    def nonlinear(v: Array) -> Array:
        return step.gradient * jnp.fft.rfft(jnp.square(jnp.fft.irfft(v, points)))

    n = nonlinear(v)
    a = step.half * v + step.q * n
    n_a = nonlinear(a)
    b = step.half * v + step.q * n_a
    n_b = nonlinear(b)
    c = step.half * a + step.q * (2 * n_b - n)
    n_c = nonlinear(c)
    return step.whole * v + step.f1 * n + 2 * step.f2 * (n_a + n_b) + step.f3 * n_c
