"""What does gradient descent do at a cliff of the loss, and what does clipping change?

Source: Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks",
section 2.3, equation (8) and Fig. 6. One unit, no input,

    x_t = w σ(x_{t-1}) + b,    E(w, b) = (σ(x_T) - y)².

As published: the logistic σ, x_0 = 0.5, y = 0.7, T = 50, and the gradient rescaled to a fixed norm
where it is longer (their Algorithm 1, here `optax.clip_by_global_norm`). Not stated there, and
chosen here: the part of the (w, b) plane, the start, the learning rate, the threshold. Clipping
each component by itself (`optax.clip`) is the common alternative.

Where the wall stands follows from the map. On the line b = x_0 - w σ(x_0) the unit starts in a
fixed point, of slope μ = w σ'(x_0). Where μ > 1 that point is unstable: above the line x_T rises to
the upper stable state, below it falls to the lower one, and on it, exactly,

    ∂x_T/∂b = (μ^T - 1)/(μ - 1),    ∂x_T/∂w = σ(x_0) ∂x_T/∂b.

Command: python run.py --experiment=cliff --config.learning_rate=0.02
Expected (defaults): of 200 descents that start near each other, 94 % take a step longer than 1 (the
median 5.6) without clipping, and 4 % end with a loss below 0.01; clipped by norm no step exceeds
0.025 and 96 % end there, clipped by value 83 %. Takes about 10 s.
"""

import dataclasses
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax import Array

from experiments import _cliff_report
from experiments._cliff_descents import RULES
from experiments._cliff_report import THIN, is_shown
from experiments._cliff_theory import wall
from rnnlab.cells import Elman, HiddenState
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import Workdir
from rnnlab.unroll import unroll

CELL = Elman(1, activation="sigmoid")


@dataclasses.dataclass(frozen=True)
class Config:
    """The network, the part of the plane that is drawn, and the descent."""

    #: Steps T of the network, at least 1.
    length: int = 50
    #: State x_0 of the unit before the first step.
    x_0: float = 0.5
    #: What σ(x_T) should be, between 0 and 1.
    target: float = 0.7
    #: Least and largest w that are drawn.
    w_range: tuple[float, ...] = (4.2, 5.5)
    #: Least and largest b that are drawn.
    b_range: tuple[float, ...] = (-2.95, -2.05)
    #: Points of the surface in w and in height over the wall, at least 21.
    points: int = 301
    #: Where the descents start, (w, b), within the part that is drawn.
    start: tuple[float, ...] = (5.2, -2.6)
    #: Learning rate of the gradient descent, above 0.
    learning_rate: float = 0.05
    #: Largest norm of the gradient, and largest size of a component, that clipping leaves alone.
    threshold: float = 0.5
    #: Updates of each descent.
    updates: int = 400
    #: Further starts, drawn around `start`: is what one path shows the rule or an accident?
    neighbours: int = 200
    #: Standard deviation of the further starts in w and in b.
    spread: float = 0.03
    #: Seed of the further starts.
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every field."""
        for name, least in {"length": 1, "points": 21, "updates": 1, "neighbours": 1}.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least {least}")
        for name in ("learning_rate", "threshold", "spread"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name}={getattr(self, name)}: must be positive and finite")
        if not math.isfinite(self.x_0):
            raise UsageError(f"x_0={self.x_0}: must be finite")
        if not 0 < self.target < 1:
            raise UsageError(f"target={self.target}: must lie between 0 and 1, where σ(x) lies")
        for name in ("w_range", "b_range"):
            low_high = getattr(self, name)
            if len(low_high) != 2 or not -math.inf < low_high[0] < low_high[1] < math.inf:
                raise UsageError(f"{name}={low_high}: must be two finite numbers, low,high")
        if len(self.start) != 2 or not is_shown(self, *self.start):
            raise UsageError(f"start={self.start}: must be w,b within w_range and b_range")


def run(config: Config, workdir: Workdir) -> None:
    """Measures the surface, descends it in three ways, and writes results, pictures, report."""
    paths = {rule: partial(measure_descents, config, rule) for rule in RULES}
    jobs = {"surface": partial(measure_surface, config), **paths}
    data = results.measured(workdir, "cliff", jobs, combine)
    _cliff_report.write(config, workdir, data)


def loss(theta: Array, config: Config) -> Array:
    """`E(w, b) = (σ(x_T) - y)²` for `theta = (w, b)`, in its dtype.

    In terms of h = σ(x) it is the sigmoid Elman network `h_t = σ(w h_{t-1} + b)` without input.
    """
    w, b = theta
    params = {"wx": jnp.zeros((1, 1), theta.dtype), "wh": w.reshape(1, 1), "b": b.reshape(1)}
    start = HiddenState(jax.nn.sigmoid(jnp.full((1,), config.x_0, theta.dtype)))
    inputs = jnp.zeros((config.length, 1), theta.dtype)
    final, _ = unroll(CELL, params, inputs, start)
    return (final.h[0] - config.target) ** 2


def descend(config: Config, rule: str, starts: Array) -> dict[str, Array]:
    """Gradient descent `theta <- theta - learning_rate * clip(∇E)` from each start `[S, 2]`.

    Returns:
        `theta [S, updates + 1, 2]`, and at each of these points `loss` and `grad_norm`, the norm
        before clipping, `[S, updates + 1]`.
    """
    clip = {
        "unclipped": optax.identity(),
        "by norm": optax.clip_by_global_norm(config.threshold),
        "by value": optax.clip(config.threshold),
    }[rule]
    optimizer = optax.chain(clip, optax.sgd(config.learning_rate))

    def update(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], dict[str, Array]]:
        theta, state = carry
        value, gradient = jax.value_and_grad(loss)(theta, config)
        met = {"theta": theta, "loss": value, "grad_norm": jnp.linalg.norm(gradient)}
        change, state = optimizer.update(gradient, state)
        return (theta + jnp.asarray(change), state), met

    def path(start: Array) -> dict[str, Array]:
        carry = (start, optimizer.init(start))
        return jax.lax.scan(update, carry, length=config.updates + 1)[1]

    return jax.jit(jax.vmap(path))(starts)


def measure_surface(config: Config) -> xr.Dataset:
    """Loss and gradient norm `[height, w]`, at the points `b = wall(w) + height`.

    Heights are spaced as sinh, evenly near 0 and logarithmically beyond `THIN`, and reach from the
    wall to the corners of the part of the plane that is drawn: no even grid resolves the wall.
    """
    w = np.linspace(config.w_range[0], config.w_range[-1], config.points)
    corners = np.subtract.outer(config.b_range, wall(config, w))
    reach = np.arcsinh(np.abs(corners).max() / THIN)
    height = THIN * np.sinh(np.linspace(-reach, reach, config.points))
    b = wall(config, w) + height[:, None]
    grid = jnp.stack([jnp.broadcast_to(jnp.asarray(w), b.shape), jnp.asarray(b)], axis=-1)
    at_point = jax.vmap(jax.value_and_grad(lambda theta: loss(theta, config)))
    value, gradient = jax.jit(jax.vmap(at_point))(grid)
    norm = jnp.linalg.norm(gradient, axis=-1)
    return xr.Dataset(
        {
            "loss": (("height", "w"), np.asarray(value), {"long_name": "E(w, b)"}),
            "log10_grad_norm": (
                ("height", "w"),
                np.asarray(jnp.log10(norm)),
                {"long_name": "log10 ‖∂E/∂(w, b)‖"},
            ),
        },
        coords={"w": w, "height": height, "b": (("height", "w"), b)},
    )


def measure_descents(config: Config, rule: str) -> xr.Dataset:
    """The path with this rule from `start`, which is number 0, and from its neighbours."""
    start = jnp.asarray(config.start, jnp.float64)
    around = jax.random.normal(jax.random.key(config.seed), (config.neighbours, 2), jnp.float64)
    path = descend(config, rule, jnp.concatenate([start[None], start + config.spread * around]))
    dims = ("start", "update")
    return xr.Dataset(
        {
            "path_w": (dims, np.asarray(path["theta"][..., 0])),
            "path_b": (dims, np.asarray(path["theta"][..., 1])),
            "path_loss": (dims, np.asarray(path["loss"])),
            "path_grad_norm": (dims, np.asarray(path["grad_norm"]), {"long_name": "unclipped"}),
        },
        coords={"rule": rule},
    )


def combine(parts: dict[str, xr.Dataset]) -> xr.Dataset:
    """The surface, and the paths `[rule, start, update]`."""
    return parts["surface"].merge(xr.concat([parts[rule] for rule in RULES], "rule"))
