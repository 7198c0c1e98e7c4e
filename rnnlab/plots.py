"""Pictures as a paper would print them.

Figures are made without pyplot, so that no backend and no setting outside of `style()` changes:

    with plots.style():
        figure, axes = plots.subplots(1, 3, width=10)
        plots.phase_diagram(axes[0], radii, lengths, log10_norm, ...)
        plots.save(figure, workdir.path("phase.png"))
"""

import contextlib
import io
import os
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import Formatter, LogFormatterMathtext, LogFormatterSciNotation
from numpy.typing import ArrayLike

from rnnlab.errors import UsageError
from rnnlab.run.files import atomic_write, expanded
from rnnlab.run.pictures import FORMATS, also, also_as, check_format
from rnnlab.statistics import wilson_interval

__all__ = [
    "COLORS",
    "add_colorbar",
    "also_as",
    "contour_lines",
    "even_columns",
    "legend_below",
    "phase_diagram",
    "quantile_band",
    "rates_by_length",
    "save",
    "shades",
    "style",
    "subplots",
    "success_rates",
    "ticks_at",
]

#: Okabe & Ito (2008), "Color Universal Design": told apart with every common colour blindness.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

#: Numbers on a logarithmic axis are written in full up to this one, and down to its inverse.
LONGEST = 20_000
#: What writes powers where nothing else was chosen.
_LOG_FORMATTERS = (LogFormatterSciNotation, LogFormatterMathtext)

_STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Seven colours in four dashes: 28 lines that differ.
    "axes.prop_cycle": cycler(linestyle=["-", "--", ":", "-."]) * cycler(color=COLORS),
    "lines.linewidth": 1.6,
    "hatch.linewidth": 0.6,
    "hatch.color": "#555555",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Makes figures in the project's style, within a `with` statement."""
    with matplotlib.rc_context(_STYLE):
        yield


def subplots(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = 7.0,
    height: float | None = None,
    **kwargs: Any,
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes.

    Args:
        rows: rows of axes.
        columns: columns of axes.
        width: inches; 7 fills a page of text.
        height: inches; by default axes of 4:5.
        **kwargs: for `Figure.subplots`, such as `sharey=True`.

    Returns:
        The figure and its axes, always `[rows, columns]`.
    """
    height = 0.8 * width / columns * rows if height is None else height
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def save(figure: Figure, path: str | os.PathLike[str]) -> pathlib.Path:
    """Writes a picture as a whole or not at all, and returns its path.

    The same figure gives the same bytes. An axis whose lines differ by rounding errors alone is
    widened until they are one, and numbers on a logarithmic axis are written in full where none is
    long. Pixels, and maps within vector pictures, have 200 dots per
    inch. Within `also_as` the picture is written beside it in other formats too.

    Args:
        figure: the figure.
        path: a file that ends in .png, .pdf or .svg, which says what is written.

    Raises:
        UsageError: another ending.
        OSError: if the disk is full or the place cannot be written.
    """
    path = expanded(path)
    for ax in figure.axes:
        _hide_rounding(ax)
        for axis in (ax.xaxis, ax.yaxis):
            _write_in_full(axis)
    written = {path.suffix.lower().removeprefix("."): path}
    written |= {name: path.with_suffix(f".{name}") for name in also() if name not in written}
    for name, place in written.items():
        atomic_write(place, _picture(figure, check_format(f"path={str(path)!r}", name)))
    return path


def _hide_rounding(ax: Axes) -> None:
    """Widens a vertical axis that shows nothing but rounding errors of a constant."""
    low, high = ax.get_ylim()
    middle = (low + high) / 2
    if ax.get_yscale() == "linear" and 0 < high - low < 1e-9 * max(1.0, abs(middle)):
        half = 0.05 * max(1.0, abs(middle))
        ax.set_ylim(middle - half, middle + half)


def _write_in_full(axis: Axis) -> None:
    """Writes 0.6 and 1000 for 6 × 10⁻¹ and 10³ on an axis whose numbers all are as short."""
    low, high = sorted(map(abs, axis.get_view_interval()))
    least = getattr(axis.get_transform(), "linthresh", low)  # next to zero on a symlog axis
    short = high <= LONGEST and least >= 1 / LONGEST
    formatters = (axis.get_major_formatter(), axis.get_minor_formatter())
    if short and all(type(each) in _LOG_FORMATTERS for each in formatters[:1]):
        axis.set_major_formatter(_InFull(formatters[0]))
        if type(formatters[1]) in _LOG_FORMATTERS:
            axis.set_minor_formatter(_InFull(formatters[1]))


class _InFull(Formatter):
    """Labels the ticks that another formatter labels, with their numbers in full."""

    def __init__(self, chooser: Formatter):
        self._chooser = chooser

    def set_axis(self, axis: Any) -> None:
        self._chooser.set_axis(axis)
        super().set_axis(axis)

    def set_locs(self, locs: Any) -> None:
        self._chooser.set_locs(locs)
        super().set_locs(locs)

    def __call__(self, x: float, pos: int | None = None) -> str:
        return _number(x) if self._chooser(x, pos) else ""


def _picture(figure: Figure, name: str) -> bytes:
    """The contents of a file."""
    contents = io.BytesIO()
    # Letters stay letters; the ids within a drawing do not depend on the time.
    fixed: dict[Any, Any] = {"svg.hashsalt": "rnnlab", "svg.fonttype": "none", "pdf.fonttype": 42}
    with matplotlib.rc_context(fixed):
        dpi = _STYLE["savefig.dpi"]
        with warnings.catch_warnings():  # what the font lacks is drawn as a box
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            figure.savefig(contents, format=name, dpi=dpi, metadata=FORMATS[name])
    return contents.getvalue()


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
    finite = np.abs(z[np.isfinite(z)])
    limit = float(finite.max(initial=1e-12)) if limit is None else limit
    norm = (
        Normalize(-limit, limit)
        if linear is None or linear >= limit
        else SymLogNorm(linear, vmin=-limit, vmax=limit)
    )
    ax.set_facecolor("#bbbbbb")
    mesh = ax.pcolormesh(
        _edges(x, "linear"),
        _edges(y, yscale),
        np.ma.masked_invalid(z),
        norm=norm,
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
        mesh, ax=axes, label=label, extend="both" if beyond else "neither", format=_number
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
        for number in ax.clabel(lines, fmt=_number, fontsize=8):
            number.set_path_effects([halo])
        if label:
            ax.plot([], [], color=color, linestyle=linestyle, linewidth=1.1, label=label)


def quantile_band(
    ax: Axes,
    x: ArrayLike,
    samples: ArrayLike,
    label: str,
    *,
    finite_only: bool = False,
    **kwargs: Any,
) -> Line2D:
    """Median as a line, quartiles as a band; a dot with a bar where there is one position alone.

    Args:
        ax: where to draw.
        x: positions [N].
        samples: values [S, N], a row for each seed; nan leaves a gap.
        label: entry in the legend.
        finite_only: leaves out nan instead, so that the seeds that have not diverged are shown.
        **kwargs: for the line, such as `color`.

    Raises:
        UsageError: if the shapes do not fit.
    """
    x, samples = np.asarray(x), np.asarray(samples, np.float64)
    if samples.shape[1:] != x.shape or x.ndim != 1 or not len(samples):
        raise UsageError(f"samples {samples.shape}: must be [S, N] with N of x {x.shape}")
    quantile = np.quantile
    if finite_only:
        some = np.isfinite(samples).any(axis=0)
        if some.any():  # otherwise nan is all there is to draw
            x, samples, quantile = x[some], samples[:, some], np.nanquantile
    low, median, high = quantile(samples, [0.25, 0.5, 0.75], axis=0)
    (line,) = ax.plot(x, median, label=label, **kwargs)
    ax.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    alone = _without_neighbours(median)
    if alone.any():
        look = {"color": line.get_color(), "linestyle": "none"}
        look["fillstyle"] = "full" if line.get_linestyle() == "-" else "none"
        ax.plot(x[alone], median[alone], marker="o", markersize=4, **look)
        ax.vlines(x[alone], low[alone], high[alone], color=line.get_color(), alpha=0.4)
        if len(x) == 1:  # the legend shows what is drawn
            line.set(marker="o", markersize=4, linestyle="none", fillstyle=look["fillstyle"])
    return line


def _without_neighbours(values: np.ndarray) -> np.ndarray:
    """Which finite values stand between values that are not, where no line is drawn."""
    finite = np.pad(np.isfinite(values), 1)
    return finite[1:-1] & ~finite[:-2] & ~finite[2:]


def ticks_at(axis: Axis, values: ArrayLike) -> None:
    """Ticks at positions that were measured, as far as their numbers have room, and at no others.

    Args:
        axis: `ax.xaxis` or `ax.yaxis`, linear or logarithmic.
        values: the positions, increasing.
    """
    values = np.asarray(values, np.float64)
    place = np.log(values) if axis.get_scale() == "log" else values
    shown = [0]
    for index in range(1, len(values)):
        if place[index] - place[shown[-1]] >= (place[-1] - place[0]) / 9:
            shown.append(index)
    axis.set_ticks(values[shown], labels=[_number(value) for value in values[shown]])
    axis.set_ticks([], minor=True)


def success_rates(ax: Axes, x: ArrayLike, solved_at: np.ndarray, **kwargs: Any) -> None:
    """Share of seeds that have solved a task, with Wilson's 95 % interval.

    Args:
        ax: where to draw.
        x: positions [N].
        solved_at: when each seed solved it, nan where it did not [N, S].
        **kwargs: for the line, such as `color` and `label`.
    """
    trials = solved_at.shape[-1]
    counts = np.isfinite(solved_at).sum(axis=-1)
    rates = counts / trials
    bounds = np.array([wilson_interval(int(count), trials) for count in counts])
    ax.errorbar(x, rates, np.abs(bounds.T - rates), marker="o", capsize=2, **kwargs)


def rates_by_length(ax: Axes, lengths: ArrayLike) -> None:
    """The axes of success rates against the length, with room beside a single length too.

    Args:
        ax: where rates are drawn.
        lengths: the lengths that were measured, increasing.
    """
    lengths = np.asarray(lengths)
    limits = (lengths[0] / 1.15, lengths[-1] * 1.15)
    ax.set(xlabel="length T (steps)", xscale="log", xlim=limits, ylim=(-0.05, 1.05))
    ticks_at(ax.xaxis, lengths)


def shades(count: int) -> list[tuple[float, ...]]:
    """Colours from dark to light, for lines that have an order."""
    return [tuple(color) for color in colormaps["viridis"](np.linspace(0, 0.9, count))]


def legend_below(figure: Figure, ax: Axes, columns: int = 6) -> None:
    """The legend of all axes below them, with the entries of one of them."""
    handles, labels = ax.get_legend_handles_labels()
    ncols = even_columns(len(labels), columns)
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols)


def even_columns(entries: int, most: int) -> int:
    """Columns of a legend whose rows are about as long as each other."""
    rows = -(-max(entries, 1) // max(most, 1))
    return -(-max(entries, 1) // rows)


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


def _number(value: float, position: int | None = None) -> str:
    """A tick's or a contour's number in full, with a minus sign and not a hyphen."""
    return f"{value:g}".replace("-", "−")
