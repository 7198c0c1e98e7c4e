"""Pictures of `gradient_norms`: phase diagrams, growth rates and weight gradients."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from experiments.gradient_norms.comparison import (
    BOUND,
    FLOAT32_FLOOR,
    MEAN_FIELD,
    RADIUS,
    RATES,
    Measured,
    finite,
)
from rnnlab import plots

#: Mean field is a broad line under the measured one, with which it should coincide.
LOOKS: dict[str, dict[str, Any]] = {
    RADIUS: {"color": "#333333", "linestyle": "--", "linewidth": 1.0},
    BOUND: {"color": "#7B3294", "linestyle": "-.", "linewidth": 1.2},
    MEAN_FIELD: {"color": "#FFC20A", "linestyle": "-", "linewidth": 4.0},
}
#: Levels of the contour lines of log10 ‖∂L/∂s_0‖.
LEVELS = (-300, -100, -30, -10, 0, 10, 30)
#: Largest number of panels in a row, and of radii with a line of their own.
COLUMNS, LINES = 3, 6


def plot_phase_diagrams(measured: Sequence[Measured]) -> Figure:
    """One panel for each cell: median over seeds of log10 ‖∂L/∂s_0‖ against ρ and T."""
    medians = [np.median(one.state, axis=0).T for one in measured]
    limit = max(float(np.abs(finite(z)[np.isfinite(z)]).max(initial=1)) for z in medians)
    figure, axes = _panels(len(measured), height=3.9)
    for ax, one, median in zip(axes, measured, medians, strict=True):
        mesh = plots.phase_diagram(
            ax,
            one.radius,
            one.lengths,
            median,
            xlabel="measured spectral radius ρ",
            ylabel="length T (steps)",
            zlabel="",
            yscale="log",
            linear=1.0,
            limit=limit,
            floor=FLOAT32_FLOOR,
            floor_label="below the smallest float32, 10⁻³⁸",
            colorbar=False,
        )
        plots.ticks_at(ax.yaxis, one.lengths)
        _plot_contours(ax, one, median)
        ax.set_title(one.name, loc="left", pad=16)
        look = {"fontsize": 8, "color": "#555555", "textcoords": "offset points"}
        ax.annotate(remark(one), (0, 1), (0, 4), xycoords="axes fraction", **look)
    plots.add_colorbar(mesh, np.array(axes), "log10 ‖∂L/∂s_0‖, median over seeds")
    _legend(figure, axes)
    return figure


def plot_growth(measured: Sequence[Measured]) -> Figure:
    """log10 ‖∂L/∂s_0‖ / T for each cell: above against T for some radii, below against ρ."""
    width = 0.6 + 3.6 * len(measured)
    figure, axes = plots.subplots(2, len(measured), width=width, height=7.2)
    for (above, below), one in zip(axes.T, measured, strict=True):
        _plot_growth_against_length(above, one)
        _plot_growth_against_radius(below, one)
    for row in axes:
        row[0].set_ylabel("growth per step, log10 ‖∂L/∂s_0‖ / T")
    for ax in axes[1, 1:]:
        ax.sharey(axes[1, 0])
    _legend(figure, axes[0], "outside upper center")
    _legend(figure, axes[1], "outside lower center")
    return figure


def _plot_growth_against_length(ax: Axes, one: Measured) -> None:
    """A band for some radii; at the right edge, mean field."""
    shown = list(_some_radii(one))
    for index, color in shown:
        samples, label = one.growth[:, index], f"ρ = {one.radius[index]:.3g}"
        plots.quantile_band(ax, one.lengths, samples, label, color=color, linestyle="-")
    rates = one.theories(one.radius) if one.activation else {}
    if MEAN_FIELD in rates:
        for index, color in shown:
            ax.plot(
                one.lengths[-1] * 1.25, rates[MEAN_FIELD][index], "D", color=color, markersize=5
            )
        ax.plot([], [], "D", color="#555555", markersize=5, label=RATES[MEAN_FIELD])
    ax.set_title(one.name)
    _length_axis(ax, one)


def _plot_growth_against_radius(ax: Axes, one: Measured) -> None:
    """The band at the longest T over the curves of the theories."""
    fine = np.linspace(one.radius[0], one.radius[-1], 300)
    for name, rates in one.theories(fine).items():
        if len(one.radius) == 1:
            ax.axhline(rates[0], label=RATES[name], **LOOKS[name])
        else:
            ax.plot(fine, rates, label=RATES[name], **LOOKS[name])
    if len(one.radius) == 1:
        plots.ticks_at(ax.xaxis, one.radius)
    label = f"measured at T = {one.lengths[-1]}"
    longest = one.growth[:, :, -1]
    plots.quantile_band(ax, one.radius, longest, label, color="#0072B2", linestyle="-", marker=".")
    ax.axhline(0, color="#999999", linewidth=0.8, zorder=0)
    ax.set_xlabel("measured spectral radius ρ")


def plot_weight_gradients(measured: Sequence[Measured]) -> Figure:
    """log10 ‖∂L/∂wh‖ against T for some radii, a panel for each cell."""
    figure, axes = _panels(len(measured), height=3.6)
    for ax, one in zip(axes, measured, strict=True):
        for index, color in _some_radii(one):
            samples, label = finite(one.weights[:, index]), f"ρ = {one.radius[index]:.3g}"
            plots.quantile_band(ax, one.lengths, samples, label, color=color, linestyle="-")
        ax.set(title=one.name, ylabel="log10 ‖∂L/∂wh‖")
        _length_axis(ax, one)
        _widen_small(ax)
    _legend(figure, axes)
    return figure


def _length_axis(ax: Axes, one: Measured) -> None:
    """The horizontal axis; its limits are set, for there may be nothing finite to plot."""
    limits = (one.lengths[0] / 1.25, one.lengths[-1] * 1.5)
    ax.set(xscale="log", xlabel="length T (steps)", xlim=limits)
    plots.ticks_at(ax.xaxis, one.lengths)


def _widen_small(ax: Axes) -> None:
    """A vertical axis linear to ±2 and logarithmic beyond, if it reaches far beyond."""
    low, high = ax.get_ylim()
    if max(-low, high) < 3:
        return  # where nothing explodes, radii differ by tenths
    ticks = [sign * v for v in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) for sign in (-1, 1)]
    ax.set_yscale("symlog", linthresh=2)
    ax.set_yticks([0, *(v for v in sorted(ticks) if low < v < high)])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_ylim(low, high)


def _plot_contours(ax: Axes, one: Measured, median: np.ndarray) -> None:
    """Level lines of each theory and, over them, of what was measured `[N, R]`."""
    if min(median.shape) < 2:
        return
    # Contours of T times a rate are needed at every T, not only at those that were measured.
    lengths = np.geomspace(one.lengths[0], one.lengths[-1], 200)
    radius = np.linspace(one.radius[0], one.radius[-1], 300)
    for name, rates in one.theories(radius).items():
        values = lengths[:, None] * rates
        # In a simple network, theory runs beside what is measured until that saturates.
        labelled = [level for level in LEVELS if level > 0 or one.activation is None]
        _level_lines(ax, radius, lengths, values, [] if name == MEAN_FIELD else labelled, name)
    _level_lines(ax, one.radius, one.lengths, median, LEVELS, "measured")


def _level_lines(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    labelled: Sequence[float],
    name: str,
) -> None:
    """Lines at `LEVELS`, of which the `labelled` ones carry their number."""
    look = LOOKS.get(name, {"color": "black", "linestyle": "-", "linewidth": 1.2})
    z = np.ma.masked_invalid(z)
    levels = [level for level in LEVELS if z.min() < level < z.max()]
    if not levels:
        return
    ax.plot([], [], label=name, **look)
    lines = ax.contour(
        x, y, z, levels,
        colors=look["color"], linestyles=look["linestyle"], linewidths=look["linewidth"],
    )  # fmt: skip
    some = [level for level in levels if level in labelled]
    numbers = ax.clabel(lines, some, fmt=_number, fontsize=8, inline_spacing=6)
    for number in numbers:
        number.set_path_effects([withStroke(linewidth=2, foreground="white")])


def remark(one: Measured) -> str:
    """What the panel's title says of the theories that it does not plot."""
    if one.activation is None:
        return "bound and mean field: not for gated cells"
    remarks = ["bound = T log10 ρ (γ σ_max = ρ)"] if one.bound_is_radius else []
    if not one.mean_field_applies:
        remarks.append("no mean field")
    return "; ".join(remarks)


def _some_radii(one: Measured) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Indices of at most `LINES` radii, spread evenly, each with its colour."""
    indices = np.unique(np.linspace(0, len(one.radius) - 1, LINES).round().astype(int))
    colors = colormaps["viridis_r"](np.linspace(0.1, 1, len(indices)))
    yield from zip(map(int, indices), map(tuple, colors), strict=True)


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with axes for `count` cells, at most `COLUMNS` in a row."""
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    figure, axes = plots.subplots(
        rows, columns, width=1.2 + 3.6 * columns, height=0.4 + height * rows
    )
    for ax in axes.flat[count:]:
        ax.remove()
    return figure, list(axes.flat[:count])


def _legend(figure: Figure, axes: Iterable[Axes], place: Any = "outside lower center") -> None:
    """One legend for several panels."""
    entries = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if not entries:
        return
    columns = plots.even_columns(len(entries), int(figure.get_figwidth() / 1.4))
    figure.legend(entries.values(), entries.keys(), loc=place, ncols=columns)


def _number(value: float) -> str:
    """A level with a minus sign and not a hyphen."""
    return f"{value:g}".replace("-", "−")
