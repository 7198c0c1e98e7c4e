"""Pictures of `jacobian_spectra`."""

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from experiments.jacobian_spectra.config import Config
from experiments.jacobian_spectra.schema import KINDS, ORTHOGONAL, POWER, PRODUCT
from rnnlab import plots
from rnnlab.gradients import theory


def plot_histograms(config: Config, data: xr.Dataset) -> Figure:
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
            _plot_law(ax, case, int(length), config.gain, bins)
            ax.set(yticks=[], xlim=(bins[0], bins[-1]))
            ax.spines["left"].set_visible(False)
        column[0].set_title(case, fontsize=10)
    for ax, length in zip(axes[:, 0], lengths, strict=True):
        ax.set_ylabel(f"T = {length}", rotation=0, ha="right", va="center")
    figure.supxlabel("(1/T) log10 σ (decades per step)", fontsize=10)
    return figure


def _plot_law(ax: Axes, case: str, length: int, gain: float, bins: np.ndarray) -> None:
    """The theory of a panel, in the variable v = u/T: its density is T p(T v)."""
    if case == ORTHOGONAL:
        point = theory.log10_singular_values_orthogonal(gain, length) / length
        ax.axvline(float(point), color="black", linestyle="--", linewidth=1)
    elif case in KINDS:
        v = np.linspace(bins[0], bins[-1], 400)
        density = length * theory.fuss_catalan_log10_density(length * v, length, gain)
        ax.plot(v, density, color="black", linestyle="-", linewidth=1)


def plot_validity(data: xr.Dataset) -> Figure:
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
    axes[0, 0].plot([], [], color="#555555", linestyle=":", linewidth=1, label="T = √N")
    labelled = axes[0, 0].get_legend_handles_labels()
    figure.legend(*labelled, loc="outside right center", fontsize=8)
    return figure
