"""Pictures, tables and report of `jacobian_spectra`."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from rnnlab import plots
from rnnlab.gradients import theory
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir

#: The linear cases by the name that titles their panels.
ORTHOGONAL, PRODUCT, POWER = "orthogonal", "Gaussian product", "Gaussian power"
KINDS = (PRODUCT, POWER)


class Setting(Protocol):
    """What the report needs of the experiment's `Config`."""

    @property
    def hidden(self) -> int: ...

    @property
    def seeds(self) -> int: ...

    @property
    def gain(self) -> float: ...

    @property
    def input_scale(self) -> float: ...


def write(config: Setting, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    report = Report("Singular values of products of Jacobians")
    report_histograms(config, workdir, data, report)
    report_validity(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def case_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each case and T: quantiles of the pooled log10 σ."""
    rows = []
    for case in data.case.to_numpy():
        for length in data.length.to_numpy():
            values = data.log10_sigma.sel(case=case, length=length).to_numpy()
            values = values[~np.isnan(values)]
            low, median, high = np.quantile(values, [0.05, 0.5, 0.95], method="nearest")
            rows.append(
                {
                    "case": case,
                    "T": int(length),
                    "5 %": float(low),
                    "median": float(median),
                    "95 %": float(high),
                    "largest": float(values.max()),
                    "exact zeros": int(np.isneginf(values).sum()),
                }
            )
    return rows


def validity_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each kind, width and T: how far from Fuss-Catalan."""
    return [
        {
            "kind": kind,
            "N": int(width),
            "T": int(length),
            "distance": float(data.distance.sel(kind=kind, width=width, length=length)),
            "median log10 σ_max": float(
                data.log10_sigma_max.sel(kind=kind, width=width, length=length).median()
            ),
            "edge": float(data.log10_edge.sel(length=length)),
        }
        for kind in data.kind.to_numpy()
        for width in data.width.to_numpy()
        for length in data.length.to_numpy()
    ]


def report_histograms(config: Setting, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The histograms: text, picture and table."""
    with plots.style():
        picture = plots.save(draw_histograms(config, data), workdir.path("histograms.png"))
    spread = float(
        abs(
            data.log10_sigma.sel(case=ORTHOGONAL).isel(index=slice(0, config.hidden))
            - data.length * math.log10(config.gain)
        ).max()
    )
    report.text(
        "The singular values of ∂s_T/∂s_0 say how much each direction of the state at time 0 is "
        "still felt at time T, and with it the gradient that flows back along it. Power: the "
        "linear network with one Gaussian matrix, applied T times. Product: T independent ones. "
        f"The singular values of the orthogonal network are gain^T to within {spread:.1e} decades."
    )
    report.figure(
        picture,
        caption=f"Density of (1/T) log10 σ, pooled over {config.seeds} networks of width "
        f"{config.hidden}, a row for each T. Black: theory, a point for orthogonal matrices, "
        "Fuss–Catalan for products and for powers of Gaussian ones. The nonlinear cells have "
        f"orthogonal recurrent blocks and an input of standard deviation {config.input_scale:g} to "
        "each gate; those with a cell state c are measured in the joint state (h, c).",
        alt="Gaussian products follow Fuss-Catalan; gated cells keep a share of directions near 0.",
    )
    rows = case_rows(data)
    report.table(rows, caption="Quantiles of log10 σ in decades, pooled over the networks.")
    print_table(rows, title="log10 σ of ∂s_T/∂s_0")


def report_validity(config: Setting, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """Where the theory ends: text, picture and table."""
    with plots.style():
        picture = plots.save(draw_validity(data), workdir.path("validity.png"))
    report.heading("Where Fuss–Catalan holds")
    report.text(
        "The law is exact for infinite width at fixed T. At finite width the powers of one matrix "
        "leave it earlier than products of independent ones, first at the largest singular value, "
        "which comes to follow the spectral radius of the one matrix."
    )
    report.figure(
        picture,
        caption="Left: largest difference between the distribution functions of the pooled log10 σ "
        "and of the Fuss–Catalan law. Right: median and quartiles over "
        f"{config.seeds} networks of log10 σ_max, minus the edge of the law. Circles and solid "
        "lines: independent products; squares and dashed lines: powers of one matrix, the same as "
        "the first factor of the product; dotted: T = √N.",
        alt="The distance from the law grows with T and shrinks with the width.",
    )
    rows = validity_rows(data)
    report.table(rows, caption="Distance from the law, and the largest singular value in decades.")
    print_table(rows, title="distance from Fuss-Catalan")


def draw_histograms(config: Setting, data: xr.Dataset) -> Figure:
    """A row of panels for each T, a column for each case."""
    cases, lengths = data.case.to_numpy(), data.length.to_numpy()
    figure, axes = plots.subplots(
        len(lengths),
        len(cases),
        width=1.8 * len(cases),
        height=1.25 * len(lengths) + 0.8,
        sharex="col",
    )
    for column, case in zip(axes.T, cases, strict=True):
        values = data.log10_sigma.sel(case=case).transpose("length", ...)
        rates = (values / data.length).to_numpy().reshape(len(lengths), -1)
        finite = rates[np.isfinite(rates)]  # exact zeros are counted in the table
        low, high = (np.quantile(finite, 0.005), finite.max()) if finite.size else (-1, 0)
        margin = max(0.05 * (high - low), 0.1)
        bins = np.linspace(low - margin, high + margin, 42)  # odd bins: a point sits within one
        for ax, length, rate in zip(column, lengths, rates, strict=True):
            shown = rate[np.isfinite(rate)]
            each = np.full(shown.shape, 1 / (max(shown.size, 1) * (bins[1] - bins[0])))
            ax.hist(shown, bins, weights=each, color=plots.COLORS[5], edgecolor="none")
            _draw_law(ax, case, int(length), config.gain, bins)
            ax.set(yticks=[], xlim=(bins[0], bins[-1]))
            ax.spines["left"].set_visible(False)
        column[0].set_title(case, fontsize=10)
    for ax, length in zip(axes[:, 0], lengths, strict=True):
        ax.set_ylabel(f"T = {length}", rotation=0, ha="right", va="center")
    figure.supxlabel("(1/T) log10 σ (decades per step)", fontsize=10)
    return figure


def _draw_law(ax: Axes, case: str, length: int, gain: float, bins: np.ndarray) -> None:
    """The theory of a panel, in the variable v = u/T: its density is T p(T v)."""
    if case == ORTHOGONAL:
        point = theory.log10_singular_values_orthogonal(gain, length) / length
        ax.axvline(float(point), color="black", linestyle="--", linewidth=1)
    elif case in KINDS:
        v = np.linspace(bins[0], bins[-1], 400)
        density = length * theory.fuss_catalan_log10_density(length * v, length, gain)
        ax.plot(v, density, color="black", linestyle="-", linewidth=1)


def draw_validity(data: xr.Dataset) -> Figure:
    """Distance from the law, and excess of the largest singular value over its edge, against T."""
    figure, axes = plots.subplots(1, 2, width=10, height=3.6)
    lengths = data.length.to_numpy()
    for color, width in zip(plots.COLORS, data.width.to_numpy(), strict=False):
        for kind, marker, linestyle in ((PRODUCT, "o", "-"), (POWER, "s", "--")):
            here = data.sel(kind=kind, width=width)
            look = {"color": color, "marker": marker, "linestyle": linestyle, "markersize": 4}
            label = f"{kind}, N = {width}"
            axes[0, 0].plot(lengths, here.distance, label=label, **look)
            excess = (here.log10_sigma_max - data.log10_edge).transpose("seed", "length")
            plots.quantile_band(axes[0, 1], lengths, excess, label, **look)
        for ax in axes[0]:
            ax.axvline(math.sqrt(width), color=color, linestyle=":", linewidth=1)
    axes[0, 1].axhline(0, color="#999999", linewidth=0.8)
    axes[0, 0].set(yscale="log", ylabel="distance from Fuss–Catalan")
    axes[0, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0, 0].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for ax in axes[0]:
        ax.set(xscale="log", xlabel="steps T", xticks=lengths, xticklabels=lengths)
        ax.minorticks_off()
    axes[0, 1].set(ylabel="log10 σ_max − edge (decades)")
    labelled = axes[0, 0].get_legend_handles_labels()
    figure.legend(*labelled, loc="outside right center", fontsize=8)
    return figure
