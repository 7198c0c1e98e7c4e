"""Pictures and report of `cliff`."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure

from experiments._cliff_descents import RULES, table_of_neighbours, table_of_paths
from experiments._cliff_theory import Unit, grad_norm_on_wall, valley, wall
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir

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


class Setting(Unit, Protocol):
    """What the report needs of the experiment's `Config`."""

    @property
    def w_range(self) -> tuple[float, ...]: ...

    @property
    def b_range(self) -> tuple[float, ...]: ...

    @property
    def start(self) -> tuple[float, ...]: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def threshold(self) -> float: ...

    @property
    def updates(self) -> int: ...

    @property
    def neighbours(self) -> int: ...

    @property
    def spread(self) -> float: ...


def write(config: Setting, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    with plots.style():
        plots.save(draw_cliff(config, data), workdir.path("cliff.png"))
        plots.save(draw_descents(config, data), workdir.path("descents.png"))
        plots.save(draw_gradients(config, data), workdir.path("gradients.png"))
    write_report(config, workdir, data)
    print_table(table_of_paths(data), title=path_title(config))
    print_table(table_of_neighbours(data), title=neighbour_title(config))


def draw_cliff(config: Setting, data: xr.Dataset) -> Figure:
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


def _draw_perspective(config: Setting, data: xr.Dataset, ax: Any) -> None:
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
        near &= is_shown(config, path.path_w, path.path_b)
        points = (np.where(near, path[name], np.nan) for name in ("path_w", "path_b", "path_loss"))
        ax.plot(*points, ".", color=COLORS[rule], markersize=2.5)
    ax.set(xlabel="w", ylabel="b", zlabel="loss E")
    ax.view_init(elev=32, azim=35)
    ax.set_box_aspect(None, zoom=0.82)


def _label_exit(config: Setting, path: xr.Dataset, ax: Axes) -> None:
    """Writes, where a path leaves the map for good, where it ends."""
    points = np.stack([path.path_w, path.path_b], axis=-1)
    shown = np.flatnonzero(is_shown(config, *points.T))
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


def draw_descents(config: Setting, data: xr.Dataset) -> Figure:
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


def draw_gradients(config: Setting, data: xr.Dataset) -> Figure:
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


def write_report(config: Setting, workdir: Workdir, data: xr.Dataset) -> None:
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


def path_title(config: Setting) -> str:
    """Of the table of the three paths."""
    return (
        f"{config.updates} updates from (w, b) = ({config.start[0]:g}, {config.start[1]:g}), "
        f"learning rate {config.learning_rate:g}, clipped at {config.threshold:g}"
    )


def neighbour_title(config: Setting) -> str:
    """Of the table of the further starts."""
    return (
        f"{config.neighbours} starts around it (standard deviation {config.spread:g}): "
        "median (10 % to 90 %)"
    )


def is_shown(config: Setting, w: Any, b: Any) -> Any:
    """Whether (w, b) lies in the part of the plane that is drawn."""
    in_w = (config.w_range[0] <= w) & (w <= config.w_range[1])
    return in_w & (config.b_range[0] <= b) & (b <= config.b_range[1])
