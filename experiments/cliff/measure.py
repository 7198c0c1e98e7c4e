"""The loss of the one-unit network over (w, b), and descents of it with three rules of clipping."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax import Array

from experiments.cliff.config import Config
from experiments.cliff.schema import RULES, THIN
from rnnlab.cells import Elman, HiddenState
from rnnlab.gradients.theory import cliff_wall
from rnnlab.run import results
from rnnlab.run.workdir import Workdir
from rnnlab.unroll import unroll

CELL = Elman(1, activation="sigmoid")

#: (w, b), and the state of the optimiser.
Carry = tuple[Array, optax.OptState]


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """Measures what is not there yet: the surface, and the descents rule by rule."""
    paths = {rule: partial(measure_descents, config, rule) for rule in RULES}
    jobs = {"surface": partial(measure_surface, config), **paths}
    return results.measured(workdir, "cliff", jobs, combine)


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

    def update(carry: Carry, _: None) -> tuple[Carry, dict[str, Array]]:
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

    Heights are spaced as sinh, evenly near 0 and logarithmically beyond `THIN`, because no even
    grid resolves the wall. They reach to the corners of the part of the plane that is plotted.
    """
    w = np.linspace(config.w_range[0], config.w_range[-1], config.points)
    corners = np.subtract.outer(config.b_range, cliff_wall(w, config.x_0))
    reach = np.arcsinh(np.abs(corners).max() / THIN)
    height = THIN * np.sinh(np.linspace(-reach, reach, config.points))
    b = cliff_wall(w, config.x_0) + height[:, None]
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


def combine(partial_results: dict[str, xr.Dataset]) -> xr.Dataset:
    """The surface, and the paths `[rule, start, update]`."""
    return partial_results["surface"].merge(
        xr.concat([partial_results[rule] for rule in RULES], "rule")
    )
