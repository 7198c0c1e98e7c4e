"""What does gradient descent do at a cliff of the loss, and what does clipping change?

Source: Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks",
section 2.3, equation (8) and Fig. 6. One unit, no input,

    x_t = w σ(x_{t-1}) + b,    E(w, b) = (σ(x_T) - y)².

As published: the logistic σ, x_0 = 0.5, y = 0.7, T = 50, and the gradient rescaled to a fixed norm
where it is longer (their Algorithm 1, here `optax.clip_by_global_norm`). Not published, and chosen
here: the part of the (w, b) plane, the start, the learning rate, the threshold. Clipping each
component by itself (`optax.clip`) is the common alternative.

Where the wall stands follows from the map. x_0 is a fixed point if b = x_0 - w σ(x_0), and an
unstable one if its slope is w σ'(x_0) > 1. To one side of that line the unit then falls to its
lower stable state, to the other it rises to the upper one, and x_T depends on b as slope^T.

Command: python run.py --experiment=cliff --config.learning_rate=0.02
Expected: one update without clipping moves (w, b) by about 18 and the descent stays there, at a
loss of 0.09 and without a gradient; both ways of clipping keep every step below 0.05 and end in the
valley, at losses near 1e-3 and below. Takes about 10 s.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax import Array
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d import Axes3D

from rnnlab import plots
from rnnlab.cells import Elman, HiddenState
from rnnlab.errors import UsageError
from rnnlab.progress import Progress
from rnnlab.report import Report
from rnnlab.tables import print_table
from rnnlab.unroll import unroll
from rnnlab.workdir import Workdir

RULES = ("unclipped", "by norm", "by value")
COLORS = dict(zip(RULES, ("#D55E00", "#0072B2", "#009E73"), strict=True))
LOSS_COLORS = LogNorm(1e-5, 0.5)
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
    #: Points of the surface along each axis, at least 2.
    points: int = 401
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
        for name, least in {"length": 1, "points": 2, "updates": 1, "neighbours": 1}.items():
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
        if len(self.start) != 2 or not self.shows(*self.start):
            raise UsageError(f"start={self.start}: must be w,b within w_range and b_range")

    def shows(self, w: float, b: float) -> bool:
        """Whether (w, b) lies in the part of the plane that is drawn."""
        in_w = self.w_range[0] <= w <= self.w_range[1]
        return in_w and self.b_range[0] <= b <= self.b_range[1]


def run(config: Config, workdir: Workdir) -> None:
    """Measures the surface, descends it in three ways, and writes results, pictures, report."""
    with Progress("cliff", total=2) as bar:
        data = measure_surface(config)
        bar.advance(1, f"largest log10 ‖∇E‖ {float(data.log10_grad_norm.max()):.1f}")
        data = data.merge(measure_descents(config))
        bar.advance(1, f"{config.neighbours + 1} descents with each rule")
    workdir.write("results.nc", bytes(data.to_netcdf(engine="h5netcdf")))
    with plots.style():
        plots.save(draw_cliff(config, data), workdir.path("cliff.png"))
        plots.save(draw_gradients(config, data), workdir.path("gradients.png"))
    write_report(config, workdir, data)
    print_table(table_of_paths(data), title=f"Descents from (w, b) = {_pair(config.start)}")
    print_table(
        table_of_neighbours(data), title=f"{config.neighbours} starts around it, median (10-90 %)"
    )


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

    def update(carry: tuple[Array, optax.OptState], _: None) -> tuple[tuple, dict[str, Array]]:
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
    """Loss and gradient norm on a grid `[b, w]` of the part of the plane that is drawn."""
    w = np.linspace(*config.w_range, config.points)
    b = np.linspace(*config.b_range, config.points)
    grid = jnp.stack(jnp.meshgrid(jnp.asarray(w), jnp.asarray(b)), axis=-1)
    at_point = jax.vmap(jax.value_and_grad(lambda theta: loss(theta, config)))
    value, gradient = jax.jit(jax.vmap(at_point))(grid)
    return xr.Dataset(
        {
            "loss": (("b", "w"), np.asarray(value), {"long_name": "E(w, b)"}),
            "log10_grad_norm": (
                ("b", "w"),
                np.asarray(jnp.log10(jnp.linalg.norm(gradient, axis=-1))),
                {"long_name": "log10 ‖∇E‖"},
            ),
        },
        coords={"w": w, "b": b},
    )


def measure_descents(config: Config) -> xr.Dataset:
    """The path from the start with each rule, and where the paths of its neighbours lead."""
    start = jnp.asarray(config.start, jnp.float64)
    around = jax.random.normal(jax.random.key(config.seed), (config.neighbours, 2), jnp.float64)
    starts = jnp.concatenate([start[None], start + config.spread * around])
    paths = [descend(config, rule, starts) for rule in RULES]
    theta, value, norm = (
        np.stack([np.asarray(path[name]) for path in paths])
        for name in ("theta", "loss", "grad_norm")
    )
    steps = np.linalg.norm(np.diff(theta, axis=2), axis=-1)
    along, among = ("rule", "update"), ("rule", "neighbour")
    return xr.Dataset(
        {
            "path_w": (along, theta[:, 0, :, 0]),
            "path_b": (along, theta[:, 0, :, 1]),
            "path_loss": (along, value[:, 0]),
            "path_grad_norm": (along, norm[:, 0]),
            "path_step": (along, np.pad(steps[:, 0], ((0, 0), (0, 1)), constant_values=np.nan)),
            "neighbour_start": (("neighbour", "parameter"), np.asarray(starts[1:])),
            "neighbour_end": (("rule", "neighbour", "parameter"), theta[:, 1:, -1]),
            "neighbour_loss": (among, value[:, 1:, -1]),
            "neighbour_largest_step": (among, steps[:, 1:].max(axis=-1)),
        },
        coords={"rule": list(RULES), "parameter": ["w", "b"]},
    )


def wall(config: Config, w: np.ndarray) -> np.ndarray:
    """`b = x_0 - w σ(x_0)`, on which x_0 is a fixed point; nan where it is not an unstable one."""
    level = _logistic(config.x_0)
    return np.where(w * level * (1 - level) > 1, config.x_0 - w * level, np.nan)


def valley(config: Config, w: np.ndarray) -> np.ndarray:
    """`b = x - w y` with σ(x) = y: x_T = x for large T; nan where x is not a stable fixed point."""
    y = config.target
    return np.where(np.abs(w) * y * (1 - y) < 1, math.log(y / (1 - y)) - w * y, np.nan)


def table_of_paths(data: xr.Dataset) -> list[dict[str, object]]:
    """What each rule met on its way from the start."""
    return [
        {
            "clipping": rule,
            "end w": path.path_w[-1].item(),
            "end b": path.path_b[-1].item(),
            "final loss": path.path_loss[-1].item(),
            "lowest loss": path.path_loss.min().item(),
            "largest ‖∇E‖": path.path_grad_norm.max().item(),
            "largest step": path.path_step.max().item(),
        }
        for rule, path in ((rule, data.sel(rule=rule)) for rule in RULES)
    ]


def table_of_neighbours(data: xr.Dataset) -> list[dict[str, object]]:
    """What each rule makes of the other starts."""
    rows = []
    for rule in RULES:
        some = data.sel(rule=rule)
        moved = some.neighbour_largest_step.values
        rows.append(
            {
                "clipping": rule,
                "largest step": _spread(moved),
                "step above 1, %": 100 * float(np.mean(moved > 1)),
                "final loss": _spread(some.neighbour_loss.values),
                "final loss below 0.01, %": 100 * float(np.mean(some.neighbour_loss < 0.01)),
            }
        )
    return rows


def draw_cliff(config: Config, data: xr.Dataset) -> Figure:
    """The surface in perspective, and from above with the three paths."""
    figure, axes = plots.subplots(1, 2, width=11, height=4.8, width_ratios=(1, 1.15))
    place = axes[0, 0].get_subplotspec()
    axes[0, 0].remove()
    _draw_perspective(config, data, figure.add_subplot(place, projection="3d"))
    ax = axes[0, 1]
    mesh = ax.pcolormesh(
        data.w, data.b, data.loss, norm=LOSS_COLORS, cmap="Greys_r", rasterized=True
    )
    plots.add_colorbar(mesh, ax, "loss E")
    _draw_lines(config, data, ax)
    _draw_paths(config, data, ax)
    ax.set(xlabel="w", ylabel="b", xlim=config.w_range, ylim=config.b_range)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def _draw_perspective(config: Config, data: xr.Dataset, ax: Axes3D) -> None:
    """The loss as a height, with the paths on it as far as they are on the map."""
    coarse = data.isel(w=slice(None, None, 4), b=slice(None, None, 4))
    w, b = np.meshgrid(coarse.w, coarse.b)
    ax.computed_zorder = False  # otherwise the surface may hide the paths that lie on it
    ax.plot_surface(
        w, b, coarse.loss.values, cmap="Greys_r", norm=LOSS_COLORS, rcount=200, ccount=200,
        linewidth=0, antialiased=False,
    )
    for rule in RULES:
        path = data.sel(rule=rule)
        on_map = _on_map(config, path)
        ax.plot(
            path.path_w[on_map], path.path_b[on_map], path.path_loss[on_map] + 0.004,
            color=COLORS[rule], linewidth=1.2,
        )
    ax.set(xlabel="w", ylabel="b", zlabel="loss E")
    ax.view_init(elev=35, azim=-60)
