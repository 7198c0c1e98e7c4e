"""Maps of a signed quantity over two others, with level lines of it or of a theory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from rnnlab.errors import UsageError
from rnnlab.plots.axes import in_full, ticks_at


def phase_diagram(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    z: ArrayLike,
    *,
    xlabel: str,
    ylabel: str,
    zlabel: str,
    yscale: str = "linear",
    contours: Sequence[float] = (),
    limit: float | None = None,
    linear: float | None = None,
    floor: float | None = None,
    floor_label: str = "below float32",
    colorbar: bool = True,
) -> QuadMesh:
    """A heat map of a signed quantity such as log10 of a gradient norm: white is zero.

    Values beyond the colours and cells that are not finite are visible as such: the colour bar ends
    in a point, and nan is grey.

    Args:
        ax: where to draw.
        x: centres of the columns [X], increasing.
        y: centres of the rows [Y], increasing; positive for a logarithmic axis.
        z: values [Y, X].
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis.
        zlabel: label of the colour bar.
        yscale: "linear" or "log".
        contours: levels of `z` drawn as labelled lines.
        limit: colours span -limit to limit; by default the largest finite |z|.
        linear: if given, colours are linear between -linear and linear and logarithmic beyond, so
            that exponents of 1 and of 1000 can both be read.
        floor: if given, the region `z < floor` is hatched.
        floor_label: what the hatching means; appears in `ax.legend()` if there is any.
        colorbar: whether to draw one beside `ax`.

    Returns:
        The mesh, for a colour bar shared by several axes.

    Raises:
        UsageError: if the shapes do not fit or the axes do not increase.
    """
    x, y, z = _grid(x, y, z)
    ax.set_facecolor("#bbbbbb")
    mesh = ax.pcolormesh(
        _edges(x, "linear"),
        _edges(y, yscale),
        np.ma.masked_invalid(z),
        norm=_colours(z, limit, linear),
        cmap="RdBu_r",
        rasterized=True,
    )
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale=yscale)
    for axis, centres in ((ax.xaxis, x), (ax.yaxis, y)):
        if len(centres) == 1:
            ticks_at(axis, centres)
    if floor is not None:
        _hatch_below(ax, x, y, z, floor, floor_label)
    if contours:
        contour_lines(ax, x, y, z, contours)
    if colorbar:
        add_colorbar(mesh, ax, zlabel)
    return mesh


def _colours(z: np.ndarray, limit: float | None, linear: float | None) -> Normalize:
    """Which value has which colour, as the arguments of `phase_diagram` say."""
    if limit is None:
        limit = float(np.abs(z[np.isfinite(z)]).max(initial=1e-12))
    if linear is None or linear >= limit:
        return Normalize(-limit, limit)
    return SymLogNorm(linear, vmin=-limit, vmax=limit)


def add_colorbar(mesh: QuadMesh, axes: Axes | np.ndarray, label: str) -> None:
    """A colour bar for one map, or for several that share their colours.

    Args:
        mesh: what `phase_diagram` returned.
        axes: the axes beside which it is placed.
        label: of the colour bar.
    """
    beyond = np.ma.max(np.ma.abs(np.ma.asarray(mesh.get_array()))) > (mesh.norm.vmax or 0.0)
    figure = np.ravel(np.asarray(axes, object))[0].figure
    bar = figure.colorbar(
        mesh, ax=axes, label=label, extend="both" if beyond else "neither", format=in_full
    )
    bar.ax.minorticks_off()


def contour_lines(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    z: ArrayLike,
    levels: Sequence[float],
    *,
    label: str = "",
    color: str = "#000000",
    linestyle: str = "-",
) -> None:
    """Labelled level lines, of the map's own values or of a theory drawn over it.

    Args:
        ax: where to draw.
        x: columns [X].
        y: rows [Y].
        z: values [Y, X].
        levels: values at which to draw, increasing.
        label: what the lines are; appears in `ax.legend()` if there is one.
        color: of lines and numbers.
        linestyle: of the lines.
    """
    x, y, z = _grid(x, y, z)
    finite = z[np.isfinite(z)]
    # Matplotlib warns about a level that does not occur; there is no line to draw for it.
    levels = [v for v in levels if finite.min(initial=np.inf) < v < finite.max(initial=-np.inf)]
    if levels and min(z.shape) > 1:
        lines = ax.contour(
            x,
            y,
            np.ma.masked_invalid(z),
            levels,
            colors=color,
            linestyles=linestyle,
            linewidths=1.1,
        )
        halo = withStroke(linewidth=2, foreground="white")
        for number in ax.clabel(lines, fmt=in_full, fontsize=8):
            number.set_path_effects([halo])
        if label:
            ax.plot([], [], color=color, linestyle=linestyle, linewidth=1.1, label=label)


def _grid(x: ArrayLike, y: ArrayLike, z: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = (np.asarray(values, np.float64) for values in (x, y, z))
    if x.ndim != 1 or y.ndim != 1 or z.shape != (len(y), len(x)) or not z.size:
        raise UsageError(f"z {z.shape}: must be [Y, X] for x {x.shape} and y {y.shape}")
    if np.any(np.diff(x) <= 0) or np.any(np.diff(y) <= 0):
        raise UsageError("x and y: must increase")
    return x, y, z


def _edges(centres: np.ndarray, scale: str) -> np.ndarray:
    """Borders [N + 1] of cells with the given centres, halfway between them on the axis' scale."""
    if scale == "log":
        return np.exp(_edges(np.log(centres), "linear"))
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _hatch_below(
    ax: Axes, x: np.ndarray, y: np.ndarray, z: np.ndarray, floor: float, label: str
) -> None:
    """Hatches the cells with `z < floor`, and puts the hatching into the legend."""
    look = {"hatch": "////", "facecolor": "none", "edgecolor": "#555555", "linewidth": 0}
    left, bottom = _edges(x, ax.get_xscale()), _edges(y, ax.get_yscale())
    width, height = np.diff(left), np.diff(bottom)
    below = np.argwhere(z < floor)
    for row, column in below:
        corner = (float(left[column]), float(bottom[row]))
        ax.add_patch(Rectangle(corner, float(width[column]), float(height[row]), **look))
    if len(below):
        ax.fill_between([], [], [], label=label, **look)
