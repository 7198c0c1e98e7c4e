"""Pictures, tables and report of `precision`."""

from __future__ import annotations

import itertools
import math
from typing import Any, Protocol

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments._precision_errors import (
    CONTROL,
    WAYS,
    Grid,
    errors,
    table_of_failures,
    table_of_lengths,
)
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir

MARKERS: dict[str, dict[str, Any]] = {
    "float32 naive": {"marker": "o", "markersize": 3.5},
    "float64 naive": {"marker": "o", "markersize": 7, "fillstyle": "none"},
    "float32 log-domain": {"marker": "+", "markersize": 6},
}
#: Errors are drawn between these; the lower one stands for no error at all.
FLOOR, CEILING = 1e-17, 30.0
#: In what the chaotic networks are computed, and how that is drawn.
ROUNDINGS: dict[str, dict[str, Any]] = {
    "float32": {"color": "#D55E00", "linestyle": "-"},
    "float64": {"color": "#000000", "linestyle": "--"},
    "float64, last bit of h_0 changed": {"color": "#0072B2", "linestyle": ":"},
}


class Setting(Grid, Protocol):
    """What the report needs of the experiment's `Config`."""

    @property
    def cells(self) -> tuple[str, ...]: ...

    @property
    def hidden(self) -> int: ...

    @property
    def seeds(self) -> int: ...

    @property
    def chaotic_radius(self) -> float: ...

    @property
    def chaotic_seeds(self) -> int: ...

    @property
    def chaotic_length(self) -> int: ...


def write(config: Setting, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    with plots.style():
        plots.save(draw_values(config, data), workdir.path("values.png"))
        plots.save(draw_errors(config, data), workdir.path("errors.png"))
        plots.save(draw_chaos(config, data), workdir.path("chaos.png"))
    write_report(config, workdir, data)
    print_table(table_of_lengths(config, data), title=lengths_title(config))
    print_table(table_of_failures(config, data), title="Values, and what is wrong with them")
    print_table(table_of_chaos(data), title=chaos_title(config))


def table_of_chaos(data: xr.Dataset) -> list[dict[str, Any]]:
    """Quantiles over seeds at the longest chaotic length, and the distance from float64."""
    last = data.chaos_log10_norm.isel(chaos_length=-1)
    distance = abs(last - last.sel(rounding="float64"))
    return [
        {
            "computed in": rounding,
            **{
                f"{percent} %": last.sel(rounding=rounding).quantile(percent / 100).item()
                for percent in (10, 25, 50, 75, 90)
            },
            "median distance of a seed": distance.sel(rounding=rounding).median().item(),
        }
        for rounding in ROUNDINGS
    ]


def draw_values(config: Setting, data: xr.Dataset) -> Figure:
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
        ax.set(xlabel="length T", ylabel="log10 ‖∂L/∂s_0‖", title=network)
        ax.label_outer()
    for ax in axes.flat[len(config.networks) :]:
        ax.set_visible(False)
    entries = axes[0, 0].get_legend_handles_labels()
    title = f"coloured lines: {WAYS[3]}"
    figure.legend(*entries, loc="outside lower center", ncols=5, title=title)
    return figure


def draw_errors(config: Setting, data: xr.Dataset) -> Figure:
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
            ax.set_xlabel("length T")
        if network != CONTROL and way == WAYS[3]:
            ax.text(0.5, 0.5, "the reference", transform=ax.transAxes, ha="center", color="#555555")
    for ax, network in zip(axes[:, 0], config.networks, strict=True):
        ax.set_ylabel(f"{network}\nerror in decades")
        ax.set_ylim(FLOOR, CEILING)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7)
    return figure


def _looks(config: Setting) -> list[dict[str, Any]]:
    """A colour and a dash for each radius."""
    dashes = itertools.cycle(("-", "--", "-."))
    return [
        {"color": color, "linestyle": dash, "linewidth": 1.3}
        for _, color, dash in zip(config.radii, itertools.cycle(plots.COLORS[:5]), dashes)
    ]


def draw_chaos(config: Setting, data: xr.Dataset) -> Figure:
    """One trajectory and the distribution over seeds, in float32 and in float64."""
    figure, axes = plots.subplots(1, 3, width=12, height=4.2)
    one, band, share = axes[0]
    value = data.chaos_log10_norm
    length = value.chaos_length
    distance = np.maximum(abs(value - value.sel(rounding="float64")), FLOOR)
    one.axhline(config.tolerance, color="black", linestyle=":", linewidth=1)
    for rounding, look in ROUNDINGS.items():
        here = {"rounding": rounding}
        if rounding != "float64":
            plots.quantile_band(one, length, distance.sel(here), rounding, **look)
        plots.quantile_band(band, length, value.sel(here), rounding, **look)
        share.ecdf(value.sel(here).isel(chaos_length=-1), label=rounding, **look)
    one.set(xscale="log", yscale="log", xlabel="length T", ylabel="distance from float64, decades")
    one.set_title("value of one seed")
    band.set(xscale="log", xlabel="length T", ylabel="log10 ‖∂L/∂s_0‖")
    band.set_title("quartiles over seeds")
    share.set(xlabel="log10 ‖∂L/∂s_0‖", ylabel="share of seeds below")
    share.set_title(f"all seeds at T = {int(length[-1])}")
    figure.legend(*share.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def write_report(config: Setting, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes `report.html`."""
    report = Report("Where a gradient norm stops being right")
    report.text(
        "The norm of the gradient of a loss at step T with respect to the state before the first "
        "step, of the same networks, computed in four ways. Naive: automatic differentiation, then "
        "the norm. Log-domain: the adjoint is renormalised at every step and its scale kept as an "
        "exponent. A norm squares its entries, so it fails at the square root of the limits of the "
        "type: near 1e−19 and 1e19 in float32, 1e−154 and 1e154 in float64."
    )
    report.figure(
        workdir.path("values.png"),
        caption=f"log10 of the norm for the first of {config.seeds} networks with H = "
        f"{config.hidden} at each radius. A missing marker is a 0, an inf or a nan.",
        alt="Markers of the naive ways end where squares leave the range of the type.",
    )
    report.table(table_of_lengths(config, data), caption=lengths_title(config))
    report.text(
        f"What is right is known exactly for the {CONTROL} network, T log10 ρ. For the others it "
        "is the float64 log-domain value, which cannot show its own rounding. Where float32 is "
        "wrong in the log domain too, it is the trajectory that differs: see the last section."
    )
    report.figure(
        workdir.path("errors.png"),
        caption=f"Absolute error in decades, median of {config.seeds} networks; errors below "
        f"{FLOOR:g} are drawn there. A cross: from here on the median is 0, inf or nan.",
        alt="Naive errors stay small until the value is lost; log-domain errors stay small.",
    )
    report.table(
        table_of_failures(config, data),
        caption=f"All values; wrong is an error above {config.tolerance:g} decades.",
    )
    report.heading("One trajectory of a chaotic network")
    report.text(
        "In a chaotic network rounding changes the trajectory itself, in float64 too, only later. "
        "No way of computing the norm mends this: beyond the length at which a curve on the left "
        "rises to the tolerance, the value of one seed is one of many equally right ones. What can "
        "be compared is the distribution over seeds, which float32 changes no more than the last "
        "bit of h_0 does."
    )
    report.figure(
        workdir.path("chaos.png"),
        caption=f"{config.chaotic_seeds} {config.cells[0]} networks with H = {config.hidden} and "
        f"ρ = {config.chaotic_radius:g}, log-domain. Left: distance of a seed's value from the one "
        "in float64, median and quartiles; dotted line: the tolerance. Middle: median and "
        "quartiles of the value. Right: its distribution over seeds.",
        alt="Trajectories separate, and the distributions over seeds agree.",
    )
    report.table(table_of_chaos(data), caption=chaos_title(config))
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def lengths_title(config: Setting) -> str:
    """Of the table of lengths."""
    return (
        f"Longest T up to which all {config.seeds} networks are right within "
        f"{config.tolerance:g} decades, of the lengths {config.lengths[0]} to {config.lengths[-1]}"
    )


def chaos_title(config: Setting) -> str:
    """Of the table of the chaotic networks."""
    longest = max(length for length in config.lengths if length <= config.chaotic_length)
    return (
        f"log10 ‖∂L/∂s_0‖ at T = {longest} of {config.chaotic_seeds} {config.cells[0]} networks "
        f"with ρ = {config.chaotic_radius:g}: quantiles over seeds"
    )
