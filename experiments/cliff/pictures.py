"""Pictures of `cliff`."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure

from experiments.cliff.config import Config
from experiments.cliff.schema import RULES, THIN
from rnnlab import plots
from rnnlab.gradients.theory import cliff_valley, cliff_wall, log10_cliff_gradient

COLORS = {"unclipped": "#D55E00", "by norm": "#0072B2", "by value": "#009E73"}
#: The valley is white and the plateaus grey, light enough for the lines on them to be seen.
LOSS_COLORS: dict[str, Any] = {
    "norm": LogNorm(1e-4, 0.5),
    "cmap": ListedColormap(colormaps["Greys"](np.linspace(0, 0.6, 256))),
}
LEVELS = (0.003, 0.01, 0.03)
#: Largest height over the wall in the pictures of the wall.
REACH = 0.2


def plot_cliff(config: Config, data: xr.Dataset) -> Figure:
    """The surface in perspective, and from above, with the three paths."""
    figure, axes = plots.subplots(1, 2, width=11, height=4.9, width_ratios=(1, 1.1))
    place = axes[0, 0].get_subplotspec()
    axes[0, 0].remove()
    _plot_perspective(config, data, figure.add_subplot(place, projection="3d"))
    ax = axes[0, 1]
    plots.add_colorbar(_plot_loss(data, "b", ax), ax, "loss E")
    w = data.w.broadcast_like(data.loss)
    ax.contour(w, data.b, data.loss, LEVELS, colors="#555555", linewidths=0.7)
    for layer, rule in enumerate(RULES):
        path = data.sel(rule=rule, start=0)
        look = {"color": COLORS[rule], "linewidth": 0.9, "zorder": 3 - layer / 10}
        ax.plot(path.path_w, path.path_b, label=rule, **look)
    valley = cliff_valley(data.w, config.x_0, config.target)
    ax.plot(data.w, cliff_wall(data.w, config.x_0), "k--", linewidth=1, label="wall")
    ax.plot(data.w, valley, "k:", linewidth=1.4, label="E = 0 (theory)")
    ax.plot(*config.start, "o", color="black", markerfacecolor="white", label="start")
    ax.set(xlabel="w", ylabel="b", xlim=config.w_range, ylim=config.b_range)
    _label_exit(config, data.sel(rule="unclipped", start=0), ax)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def _plot_loss(data: xr.Dataset, vertical: str, ax: Axes) -> QuadMesh:
    """The loss from above, over `vertical`, which is "b" or "height"."""
    few = data.isel(w=slice(None, None, 4))
    w, y = (few[name].broadcast_like(few.loss) for name in ("w", vertical))
    return ax.pcolormesh(w, y, few.loss, shading="gouraud", rasterized=True, **LOSS_COLORS)


def _plot_perspective(config: Config, data: xr.Dataset, ax: Any) -> None:
    """The loss as a height. Paths are plotted as points, because lines would cover the wall."""
    few = data.sel(height=slice(-REACH, REACH)).isel(w=slice(None, None, 4))
    w = np.broadcast_to(few.w, few.b.shape)
    ax.computed_zorder = False  # else the surface hides the points that lie on it
    ax.plot_surface(
        w, few.b.values, few.loss.values, rstride=2, cstride=1, linewidth=0, **LOSS_COLORS
    )
    for rule in RULES[::-1]:
        path = data.sel(rule=rule, start=0)
        near = np.abs(path.path_b - cliff_wall(path.path_w, config.x_0)) < REACH
        near &= config.shows(path.path_w, path.path_b)
        points = (np.where(near, path[name], np.nan) for name in ("path_w", "path_b", "path_loss"))
        ax.plot(*points, ".", color=COLORS[rule], markersize=2.5)
    ax.set(xlabel="w", ylabel="b", zlabel="loss E")
    ax.view_init(elev=32, azim=35)
    ax.set_box_aspect(None, zoom=0.82)


def _label_exit(config: Config, path: xr.Dataset, ax: Axes) -> None:
    """Writes, where a path leaves the map for good, where it ends."""
    points = np.stack([path.path_w, path.path_b], axis=-1)
    shown = np.flatnonzero(config.shows(*points.T))
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


def plot_descents(config: Config, data: xr.Dataset) -> Figure:
    """For each rule: its path over the wall, and the loss along all paths."""
    figure, axes = plots.subplots(2, 3, width=11, height=6, sharey="row")
    for above, below, rule in zip(*axes, RULES, strict=True):
        paths = data.sel(rule=rule)
        w, height = paths.path_w[0], paths.path_b[0] - cliff_wall(paths.path_w[0], config.x_0)
        _plot_loss(data, "height", above)
        above.plot(w, height, color=COLORS[rule], linewidth=0.5)
        points = above.scatter(w, height, c=w.update, s=8, cmap="plasma", zorder=3)
        above.plot(w[0], height[0], "o", color="black", markerfacecolor="white", label="start")
        above.axhline(0, color="black", linestyle="--", linewidth=1, label="wall")
        above.set(xlabel="w", xlim=config.w_range, ylim=(-REACH, REACH), title=rule)
        below.semilogy(w.update, paths.path_loss[0], color="#999999", lw=0.6, label="this path")
        name = "neighbours, with quartiles"
        plots.quantile_band(below, w.update, paths.path_loss[1:], name, color=COLORS[rule], ls="-")
        below.set(xlabel="update", xlim=(0, config.updates))
        below.legend(loc="lower left")
    figure.colorbar(points, ax=axes, label="update", shrink=0.5, anchor=(0, 1))
    axes[0, 0].legend(loc="lower left")
    axes[0, 0].set_ylabel("height over the wall, b − b_wall(w)")
    least = float(data.path_loss.where(data.path_loss > 0).min())
    axes[1, 0].set(ylabel="loss E", ylim=(max(1e-6, least / 30), 1))  # room for the legend
    return figure


def plot_gradients(config: Config, data: xr.Dataset) -> Figure:
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
    exact = log10_cliff_gradient(data.w, config.x_0, config.target, config.length)
    ax.semilogy(data.w, 10**exact, color="black", linewidth=1, linestyle="--", label="theory")
    ax.axhline(config.threshold, color="black", linestyle=":", label="threshold of clipping")
    ax.set(xlabel="w", ylabel="‖∇E‖")
    ax.legend()
    return figure
