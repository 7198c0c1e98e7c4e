"""The classical Runge-Kutta step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax

State = TypeVar("State")


def rk4(f: Callable[[State], State], x: State, h: float) -> State:
    """`x(t + h)` of `dx/dt = f(x)`, with an error of order `h⁵` in a step and `h⁴` over all.

    Source: W. Kutta, "Beitrag zur näherungsweisen Integration totaler Differentialgleichungen"
    (1901).

    Args:
      f: the derivative, for a tree of arrays a tree of the same structure.
      x: the tree.
      h: length of the step.
    """

    def moved(slope: State, time: float) -> State:
        return jax.tree.map(lambda a, b: a + time * b, x, slope)

    k1 = f(x)
    k2 = f(moved(k1, h / 2))
    k3 = f(moved(k2, h / 2))
    k4 = f(moved(k3, h))
    return moved(jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4), h)
