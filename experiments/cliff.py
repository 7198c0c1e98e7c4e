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
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure

from rnnlab import plots, results
from rnnlab.cells import Elman, HiddenState
from rnnlab.errors import UsageError
from rnnlab.report import Report
from rnnlab.tables import print_table
from rnnlab.unroll import unroll
from rnnlab.workdir import Workdir

CELL = Elman(1, activation="sigmoid")
RULES = ("unclipped", "by norm", "by value")
COLORS = {"unclipped": "#D55E00", "by norm": "#0072B2", "by value": "#009E73"}
#: White valley, grey plateaus, no grey so dark that lines vanish in it.
LOSS_COLORS: dict[str, Any] = {
    "norm": LogNorm(1e-4, 0.5),
    "cmap": ListedColormap(colormaps["Greys"](np.linspace(0, 0.6, 256))),
}
LEVELS = (0.003, 0.01, 0.03)
#: Height over the wall at which the axis of heights turns from linear to logarithmic.
THIN = 1e-6
#: Largest height over the wall in the pictures of the wall.
REACH = 0.2


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
        if len(self.start) != 2 or not _shown(self, *self.start):
            raise UsageError(f"start={self.start}: must be w,b within w_range and b_range")


def run(config: Config, workdir: Workdir) -> None:
    """Measures the surface, descends it in three ways, and writes results, pictures, report."""
    paths = {rule: partial(measure_descents, config, rule) for rule in RULES}
    jobs = {"surface": partial(measure_surface, config), **paths}
    data = results.measured(workdir, "cliff", jobs, combine)
    with plots.style():
        plots.save(draw_cliff(config, data), workdir.path("cliff.png"))
        plots.save(draw_descents(config, data), workdir.path("descents.png"))
        plots.save(draw_gradients(config, data), workdir.path("gradients.png"))
    write_report(config, workdir, data)
    print_table(table_of_paths(data), title=path_title(config))
    print_table(table_of_neighbours(data), title=neighbour_title(config))


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


def wall(config: Config, w: np.ndarray) -> np.ndarray:
    """`b = x_0 - w σ(x_0)`: the line on which x_0 is a fixed point."""
    return config.x_0 - w * _logistic(config.x_0)


def valley(config: Config, w: np.ndarray) -> np.ndarray:
    """`b = x - w y` with σ(x) = y: the line on which x_T comes to x as T grows, for w > 0.

    It is nan where x is not a stable fixed point, and where the wall lies between x_0 and x.
    """
    y = config.target
    x = math.log(y / (1 - y))
    b = x - w * y
    reached = (w > 0) & (w * y * (1 - y) < 1) & ((x - config.x_0) * (b - wall(config, w)) > 0)
    return np.where(reached, b, np.nan)


def grad_norm_on_wall(config: Config, w: np.ndarray) -> np.ndarray:
    """`‖∇E‖ = 2 |σ(x_0) - y| σ'(x_0) √(1 + σ(x_0)²) (1 + μ + ... + μ^(T-1))`, exact on the wall."""
    level = _logistic(config.x_0)
    slope = level * (1 - level)
    growth = np.sum((w * slope)[..., None] ** np.arange(config.length), axis=-1)
    return 2 * abs(level - config.target) * slope * math.hypot(1, level) * np.abs(growth)


def table_of_paths(data: xr.Dataset) -> list[dict[str, Any]]:
    """What each rule met on its way from `start`."""
    rows = []
    for rule in RULES:
        path = data.sel(rule=rule, start=0)
        rows.append(
            {
                "clipping": rule,
                "end w": path.path_w[-1].item(),
                "end b": path.path_b[-1].item(),
                "final loss": path.path_loss[-1].item(),
                "lowest loss": path.path_loss.min().item(),
                "largest ‖∇E‖": path.path_grad_norm.max().item(),
                "largest step": steps(path).max().item(),
            }
        )
    return rows


def table_of_neighbours(data: xr.Dataset) -> list[dict[str, Any]]:
    """What each rule makes of the starts around `start`."""
    rows = []
    for rule in RULES:
        paths = data.sel(rule=rule).isel(start=slice(1, None))
        longest = steps(paths).max("update").values
        final = paths.path_loss.isel(update=-1).values
        rows.append(
            {
                "clipping": rule,
                "largest step": _spread(longest),
                "step above 1, %": 100 * float(np.mean(longest > 1)),
                "final loss": _spread(final),
                "final loss below 0.01, %": 100 * float(np.mean(final < 0.01)),
            }
        )
    return rows


def steps(paths: xr.Dataset) -> xr.DataArray:
    """Length of each update in the (w, b) plane."""
    return np.hypot(paths.path_w.diff("update"), paths.path_b.diff("update"))


def draw_cliff(config: Config, data: xr.Dataset) -> Figure:
    """The surface in perspective, and from above, with the three paths."""
    figure, axes = plots.subplots(1, 2, width=11, height=4.9, width_ratios=(1, 1.1))
    place = axes[0, 0].get_subplotspec()
    axes[0, 0].remove()
    _draw_perspective(config, data, figure.add_subplot(place, projection="3d"))
    ax = axes[0, 1]
    plots.add_colorbar(_draw_loss(data, "b", ax), ax, "loss E")
    w = data.w.broadcast_like(data.loss)
    ax.contour(w, data.b, data.loss, LEVELS, colors="#555555", linewidths=0.7)
    for layer, rule in enumerate(RULES):
        path = data.sel(rule=rule, start=0)
        look = {"color": COLORS[rule], "linewidth": 0.9, "zorder": 3 - layer / 10}
        ax.plot(path.path_w, path.path_b, label=rule, **look)
    ax.plot(data.w, wall(config, data.w), "k--", linewidth=1, label="wall")
    ax.plot(data.w, valley(config, data.w), "k:", linewidth=1.4, label="E = 0 (theory)")
    ax.plot(*config.start, "o", color="black", markerfacecolor="white", label="start")
    ax.set(xlabel="w", ylabel="b", xlim=config.w_range, ylim=config.b_range)
    _label_exit(config, data.sel(rule="unclipped", start=0), ax)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def _draw_loss(data: xr.Dataset, vertical: str, ax: Axes) -> QuadMesh:
    """The loss from above, over `vertical`, which is "b" or "height"."""
    few = data.isel(w=slice(None, None, 4))
    w, y = (few[name].broadcast_like(few.loss) for name in ("w", vertical))
    return ax.pcolormesh(w, y, few.loss, shading="gouraud", rasterized=True, **LOSS_COLORS)


def _draw_perspective(config: Config, data: xr.Dataset, ax: Any) -> None:
    """The loss as a height. Paths are points there: their lines would cover the wall."""
    few = data.sel(height=slice(-REACH, REACH)).isel(w=slice(None, None, 4))
    w = np.broadcast_to(few.w, few.b.shape)
    ax.computed_zorder = False  # else the surface hides the points that lie on it
    ax.plot_surface(
        w, few.b.values, few.loss.values, rstride=2, cstride=1, linewidth=0, **LOSS_COLORS
    )
    for rule in RULES[::-1]:
        path = data.sel(rule=rule, start=0)
        near = np.abs(path.path_b - wall(config, path.path_w)) < REACH
        near &= _shown(config, path.path_w, path.path_b)
        points = (np.where(near, path[name], np.nan) for name in ("path_w", "path_b", "path_loss"))
        ax.plot(*points, ".", color=COLORS[rule], markersize=2.5)
    ax.set(xlabel="w", ylabel="b", zlabel="loss E")
    ax.view_init(elev=32, azim=35)
    ax.set_box_aspect(None, zoom=0.82)


def _label_exit(config: Config, path: xr.Dataset, ax: Axes) -> None:
    """Writes, where a path leaves the map for good, where it ends."""
    points = np.stack([path.path_w, path.path_b], axis=-1)
    shown = np.flatnonzero(_shown(config, *points.T))
    if shown[-1] == len(points) - 1 or not np.isfinite(points).all():
        return
    inner, outer = points[shown[-1]], points[shown[-1] + 1]
    borders = np.transpose([config.w_range, config.b_range])
    with np.errstate(divide="ignore"):
        ways = (borders - inner) / (outer - inner)
    leaves = inner + (outer - inner) * np.min(ways[ways > 0])
    w, b = points[-1]
    left, low = leaves < borders.mean(axis=0)
    ax.annotate(
        f"to ({w:.3g}, {b:.3g})",
        (leaves[0], leaves[1]),
        xytext=(8 if left else -8, 8 if low else -8),
        textcoords="offset points",
        ha="left" if left else "right",
        va="bottom" if low else "top",
        color=COLORS["unclipped"],
    )


def draw_descents(config: Config, data: xr.Dataset) -> Figure:
    """For each rule: its path over the wall, and the loss along all paths."""
    figure, axes = plots.subplots(2, 3, width=11, height=6, sharey="row")
    for above, below, rule in zip(*axes, RULES, strict=True):
        paths = data.sel(rule=rule)
        w, height = paths.path_w[0], paths.path_b[0] - wall(config, paths.path_w[0])
        _draw_loss(data, "height", above)
        above.plot(w, height, color=COLORS[rule], linewidth=0.5)
        points = above.scatter(w, height, c=w.update, s=8, cmap="plasma", zorder=3)
        above.plot(w[0], height[0], "o", color="black", markerfacecolor="white", label="start")
        above.axhline(0, color="black", linestyle="--", linewidth=1, label="wall")
        above.set(xlabel="w", xlim=config.w_range, ylim=(-REACH, REACH), title=rule)
        below.semilogy(w.update, paths.path_loss[0], color="#999999", lw=0.6, label="this path")
        name = "its neighbours, quartiles"
        plots.quantile_band(below, w.update, paths.path_loss[1:], name, color=COLORS[rule], ls="-")
        below.set(xlabel="update", xlim=(0, config.updates))
        below.legend(loc="lower left")
    figure.colorbar(points, ax=axes, label="update", shrink=0.5, anchor=(0, 1))
    axes[0, 0].legend(loc="lower left")
    axes[0, 0].set_ylabel("height over the wall, b − b_wall(w)")
    axes[1, 0].set(ylabel="loss E", ylim=(1e-6, 1))
    return figure


def draw_gradients(config: Config, data: xr.Dataset) -> Figure:
    """The norm of the gradient across the wall, and along it with what theory says."""
    figure, axes = plots.subplots(1, 2, width=10, height=4)
    ax = axes[0, 0]
    plots.phase_diagram(
        ax,
        data.w,
        data.height,
        data.log10_grad_norm,
        xlabel="w",
        ylabel="height over the wall, b − b_wall(w)",
        zlabel="log10 ‖∇E‖",
    )
    ax.set_yscale("symlog", linthresh=THIN)
    plots.contour_lines(ax, data.w, data.height, data.log10_grad_norm, (0, 2, 4))
    ax = axes[0, 1]
    norm = 10**data.log10_grad_norm
    ax.semilogy(data.w, norm.max("height"), label="largest at this w")
    ax.semilogy(data.w, norm.sel(height=0, method="nearest"), linewidth=4, label="on the wall")
    theory = grad_norm_on_wall(config, data.w.values)
    ax.semilogy(data.w, theory, color="black", linewidth=1, linestyle="--", label="theory")
    ax.axhline(config.threshold, color="black", linestyle=":", label="threshold of clipping")
    ax.set(xlabel="w", ylabel="‖∇E‖")
    ax.legend()
    return figure


def write_report(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes `report.html`."""
    report = Report("Gradient descent at a cliff of the loss")
    report.text(
        f"One unit, x_t = w σ(x_(t−1)) + b, is to reach σ(x_T) = {config.target:g} after T = "
        f"{config.length} steps from x_0 = {config.x_0:g}; the loss is E = (σ(x_T) − "
        f"{config.target:g})² (Pascanu, Mikolov and Bengio 2013, equation 8 and Fig. 6). On the "
        "line b = x_0 − w σ(x_0) the unit starts in a fixed point; where w σ'(x_0) > 1 it is "
        "unstable: above the line x_T rises to one stable state, below it falls to another. That "
        "line is the wall."
    )
    report.figure(
        workdir.path("cliff.png"),
        caption=f"The loss over (w, b), in perspective within {REACH:g} of the wall (points: the "
        "parameters after each update) and from above (lines: the same paths). Thin: E = "
        f"{', '.join(map(str, LEVELS))}. Dotted: where x_T comes to the target as T grows.",
        alt="A plateau of low loss that ends at a vertical wall, and three paths of descent.",
    )
    report.table(table_of_paths(data), caption=path_title(config))
    report.text(
        "On the wall a gradient depends on the parameters through a factor that grows "
        "exponentially with T, so where one path lands depends on its last digits, and on the "
        "machine. What a rule does is seen in many paths that start near each other."
    )
    report.figure(
        workdir.path("descents.png"),
        caption="Above: the path from the same start with each rule, in height over the wall. "
        f"Below: the loss along it, and median and quartiles of {config.neighbours} neighbours.",
        alt="Without clipping the path is thrown away from the wall, with clipping it follows it.",
    )
    report.table(table_of_neighbours(data), caption=neighbour_title(config))
    report.figure(
        workdir.path("gradients.png"),
        caption="Left: log10 of the norm of ∂E/∂(w, b); the axis of heights is linear within "
        f"{THIN:g} of the wall. Right: its largest value at each w, and its value on the wall, as "
        "measured and in closed form.",
        alt="The gradient grows exponentially with w in a wall that becomes ever thinner.",
    )
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def path_title(config: Config) -> str:
    """Of the table of the three paths."""
    return (
        f"{config.updates} updates from (w, b) = ({config.start[0]:g}, {config.start[1]:g}), "
        f"learning rate {config.learning_rate:g}, clipped at {config.threshold:g}"
    )


def neighbour_title(config: Config) -> str:
    """Of the table of the further starts."""
    return (
        f"{config.neighbours} starts around it (standard deviation {config.spread:g}): "
        "median (10 % to 90 %)"
    )


def _shown(config: Config, w: Any, b: Any) -> Any:
    """Whether (w, b) lies in the part of the plane that is drawn."""
    in_w = (config.w_range[0] <= w) & (w <= config.w_range[1])
    return in_w & (config.b_range[0] <= b) & (b <= config.b_range[1])


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _spread(samples: np.ndarray) -> str:
    low, middle, high = np.quantile(samples, [0.1, 0.5, 0.9])
    return f"{middle:.2g} ({low:.2g} to {high:.2g})"
