"""Pictures of `precision`."""

import itertools
import math
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments.precision.accuracy import errors
from experiments.precision.config import Config
from experiments.precision.schema import CONTROL, ROUNDINGS, WAYS
from rnnlab import plots

MARKERS: dict[str, dict[str, Any]] = {
    "float32 naive": {"marker": "o", "markersize": 3.5},
    "float64 naive": {"marker": "o", "markersize": 7, "fillstyle": "none"},
    "float32 log-domain": {"marker": "+", "markersize": 6},
}
#: Errors are plotted between these; the lower one means no error at all.
FLOOR, CEILING = 1e-17, 30.0
#: Looks of the ways in which the chaotic networks are computed.
ROUNDING_LOOKS: dict[str, dict[str, Any]] = {
    ROUNDINGS[0]: {"color": "#D55E00", "linestyle": "-"},
    ROUNDINGS[1]: {"color": "#000000", "linestyle": "--"},
    ROUNDINGS[2]: {"color": "#0072B2", "linestyle": ":"},
}


def plot_values(config: Config, data: xr.Dataset) -> Figure:
    """What each way returns for the first network of each radius, and the limits of a norm."""
    columns = min(len(config.networks), 3)
    rows = math.ceil(len(config.networks) / columns)
    size = {"width": 0.5 + 4.7 * columns, "height": 1 + 3.8 * rows}
    figure, axes = plots.subplots(rows, columns, sharex=True, sharey=True, **size)
    for ax, network in zip(axes.flat, config.networks, strict=False):
        for radius, look in zip(config.radii, _looks(config), strict=True):
            here = data.log10_norm.sel(network=network, radius=radius).isel(seed=0)
            here = here.where(np.isfinite(here))
            ax.semilogx(here.length, here.sel(way=WAYS[3]), label=f"ρ = {radius:g}", **look)
            for way, marker in MARKERS.items():
                ax.plot(here.length, here.sel(way=way), color="black", linestyle="", **marker)
        for way, marker in MARKERS.items():
            ax.plot([], [], color="black", linestyle="", label=way, **marker)
        for dtype, dash in (("float32", ":"), ("float64", "--")):
            look = {"color": "#888888", "linestyle": dash, "linewidth": 1}
            for limit in (np.finfo(dtype).tiny, np.finfo(dtype).max):
                ax.axhline(math.log10(limit) / 2, **look)
            ax.plot([], [], label=f"squares leave {dtype}", **look)
        ax.set_yscale("symlog", linthresh=10)
        ax.set(xlabel="length T (steps)", ylabel="log10 ‖∂L/∂s_0‖", title=network)
        ax.label_outer()
    for ax in axes.flat[len(config.networks) :]:
        ax.set_visible(False)
    entries = axes[0, 0].get_legend_handles_labels()
    title = f"coloured lines: {WAYS[3]}"
    figure.legend(*entries, loc="outside lower center", ncols=5, title=title)
    return figure


def plot_errors(config: Config, data: xr.Dataset) -> Figure:
    """The error of each way against the length, for each network."""
    error = errors(data).median("seed")
    rows = len(config.networks)
    figure, axes = plots.subplots(
        rows, len(WAYS), width=12, height=0.6 + 2.5 * rows, sharex=True, sharey=True
    )
    for (row, network), (column, way) in itertools.product(
        enumerate(config.networks), enumerate(WAYS)
    ):
        ax = axes[row, column]
        for radius, look in zip(config.radii, _looks(config), strict=True):
            values = error.sel(network=network, way=way, radius=radius)
            finite = values.where(np.isfinite(values))
            ax.loglog(values.length, np.maximum(finite, FLOOR), label=f"ρ = {radius:g}", **look)
            lost = values.length[~np.isfinite(values)]
            if lost.size:
                ax.plot(lost[0], CEILING, "x", color=look["color"], markersize=7, clip_on=False)
        ax.axhline(config.tolerance, color="black", linestyle=":", linewidth=1, label="tolerance")
        ax.plot([], [], "x", color="#888888", label="from here on 0, inf or nan")
        if row == 0:
            ax.set_title(way)
        if row == rows - 1:
            ax.set_xlabel("length T (steps)")
        if network != CONTROL and way == WAYS[3]:
            ax.text(0.5, 0.5, "the reference", transform=ax.transAxes, ha="center", color="#555555")
    for ax, network in zip(axes[:, 0], config.networks, strict=True):
        ax.set_ylabel(f"{network}\nerror in decades")
        ax.set_ylim(FLOOR, CEILING)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7)
    return figure


def _looks(config: Config) -> list[dict[str, Any]]:
    """A colour and a dash for each radius."""
    dashes = itertools.cycle(("-", "--", "-."))
    return [
        {"color": color, "linestyle": dash, "linewidth": 1.3}
        for _, color, dash in zip(config.radii, itertools.cycle(plots.COLORS[:5]), dashes)
    ]


def plot_chaos(config: Config, data: xr.Dataset) -> Figure:
    """One trajectory and the distribution over seeds, in float32 and in float64."""
    figure, axes = plots.subplots(1, 3, width=12, height=4.2)
    one, band, share = axes[0]
    value = data.chaos_log10_norm
    length = value.chaos_length
    distance = np.maximum(abs(value - value.sel(rounding="float64")), FLOOR)
    one.axhline(config.tolerance, color="black", linestyle=":", linewidth=1)
    for rounding, look in ROUNDING_LOOKS.items():
        here = {"rounding": rounding}
        if rounding != "float64":
            plots.quantile_band(one, length, distance.sel(here), rounding, **look)
        plots.quantile_band(band, length, value.sel(here), rounding, **look)
        share.ecdf(value.sel(here).isel(chaos_length=-1), label=rounding, **look)
    one.set(
        xscale="log",
        yscale="log",
        xlabel="length T (steps)",
        ylabel="distance from float64, decades",
    )
    one.set_title("value of one seed")
    band.set(xscale="log", xlabel="length T (steps)", ylabel="log10 ‖∂L/∂s_0‖")
    band.set_title("quartiles over seeds")
    share.set(xlabel="log10 ‖∂L/∂s_0‖", ylabel="share of seeds below")
    share.set_title(f"all seeds at T = {int(length[-1])}")
    handles, labels = share.get_legend_handles_labels()
    handles, labels = [*handles, one.lines[0]], [*labels, "tolerance"]
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure
