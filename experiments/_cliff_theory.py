"""Where the wall of `cliff` stands, where its valley, and how steep the wall is."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np


class Unit(Protocol):
    """What is known of the unit: T, x_0, and what σ(x_T) should be."""

    @property
    def length(self) -> int: ...

    @property
    def x_0(self) -> float: ...

    @property
    def target(self) -> float: ...


def wall(config: Unit, w: np.ndarray) -> np.ndarray:
    """`b = x_0 - w σ(x_0)`: the line on which x_0 is a fixed point."""
    return config.x_0 - w * _logistic(config.x_0)


def valley(config: Unit, w: np.ndarray) -> np.ndarray:
    """`b = x - w y` with σ(x) = y: the line on which x_T comes to x as T grows, for w > 0.

    It is nan where x is not a stable fixed point, and where the wall lies between x_0 and x.
    """
    y = config.target
    x = math.log(y / (1 - y))
    b = x - w * y
    reached = (w > 0) & (w * y * (1 - y) < 1) & ((x - config.x_0) * (b - wall(config, w)) > 0)
    return np.where(reached, b, np.nan)


def grad_norm_on_wall(config: Unit, w: np.ndarray) -> np.ndarray:
    """`‖∇E‖ = 2 |σ(x_0) - y| σ'(x_0) √(1 + σ(x_0)²) (1 + μ + ... + μ^(T-1))`, exact on the wall."""
    level = _logistic(config.x_0)
    slope = level * (1 - level)
    growth = np.sum((w * slope)[..., None] ** np.arange(config.length), axis=-1)
    return 2 * abs(level - config.target) * slope * math.hypot(1, level) * np.abs(growth)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))
