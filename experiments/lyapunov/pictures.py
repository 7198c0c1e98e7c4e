"""Pictures of `lyapunov`."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from experiments.lyapunov.config import Config
from experiments.lyapunov.tables import spectrum_of, standard_error
from rnnlab import plots
from rnnlab.gradients import theory


def plot_exponents(data: xr.Dataset) -> Figure:
    """Exponent against gain, and below it the distance from mean field; a column per input."""
    columns = data.sizes["input_std"]
    figure, axes = plots.subplots(
        2, columns, width=min(9.0, 1.5 + 3.5 * columns), height=6.4, sharex=True, sharey="row"
    )
    for (top, bottom), std in zip(axes.T, data.input_std.to_numpy(), strict=True):
        here = data.sel(input_std=std)
        fine = np.linspace(float(data.gain.min()), float(data.gain.max()), 200)
        top.plot(fine, theory.mean_field_exponent(fine, std), color="black", label="mean field")
        for ax in (top, bottom):
            ax.axhline(0, color="#999999", linewidth=0.8)
            ax.axvline(float(here.critical_gain), color="black", linestyle=":", linewidth=1)
        for color, width in zip(plots.COLORS, data.width.to_numpy(), strict=False):
            _plot_width(top, bottom, here.sel(width=width), color, resting=std == 0)
        critical = f"critical gain {float(here.critical_gain):.3g}"
        top.set(title=f"input std {std:g}, {critical}" if std else f"no input, {critical}")
        bottom.set(xlabel="gain")
    axes[0, 0].set_ylabel("largest exponent λ (nats per step)")
    axes[1, 0].set_ylabel("λ − mean field (nats per step)")
    axes[0, -1].legend()
    if axes[1, 0].get_legend_handles_labels()[0]:
        axes[1, 0].legend()
    return figure


def _plot_width(top: Axes, bottom: Axes, data: xr.Dataset, color: str, resting: bool) -> None:
    """Points of one width; where the network comes to rest, also what its matrix says."""
    mean, error = data.exponent.mean("seed"), standard_error(data.exponent, "seed")
    style = {"color": color, "linestyle": "", "marker": "o", "markersize": 4, "capsize": 2}
    top.errorbar(data.gain, mean, error, label=f"N = {int(data.width)}", **style)
    style |= {"linestyle": "-", "linewidth": 0.8}
    bottom.errorbar(data.gain, mean - data.mean_field, error, **style)
    if resting:
        below = data.gain.to_numpy()[data.gain.to_numpy() < 1]
        excess = np.full(below.shape, float(data.log_radius.mean()))
        label = "ln ρ(wh) − ln gain" if color == plots.COLORS[0] and below.size else ""
        look: dict[str, Any] = {"linestyle": "--"}
        if below.size == 1:
            look = {"marker": "_", "markersize": 16}
        bottom.plot(below, excess, color=color, linewidth=2.5, alpha=0.5, label=label, **look)


def plot_spectra(config: Config, data: xr.Dataset) -> Figure:
    """Spectrum of each cell, and below it the convergence of its largest exponent."""
    names = data.cell.to_numpy()
    width = min(9.0, 1.5 + 3.5 * len(names))
    figure, axes = plots.subplots(2, len(names), width=width, height=6, sharey="row")
    for (top, bottom), name in zip(axes.T, names, strict=True):
        for color, gain in zip(plots.COLORS, data.spectrum_gain.to_numpy(), strict=False):
            here = data.sel(cell=name, spectrum_gain=gain)
            spectrum = _finite(spectrum_of(data, name, gain))
            place = (np.arange(spectrum.shape[1]) + 0.5) / config.spectrum_hidden
            look: dict[str, Any] = {"color": color, "linestyle": "-"}
            top.plot(place, spectrum.mean(0), label=f"gain {gain:g}", **look)
            top.fill_between(place, spectrum.min(0), spectrum.max(0), color=color, alpha=0.2)
            if name == "tanh":
                value = theory.mean_field_exponent(gain, config.spectrum_input_std)
                top.plot(0, value, marker="x", color=color, markeredgewidth=2, clip_on=False)
            elapsed = here.step.to_numpy() - config.discard
            running = _finite(here.running.transpose("spectrum_seed", "step").to_numpy())
            plots.quantile_band(bottom, elapsed, running, f"gain {gain:g}", **look)
        for ax in (top, bottom):
            ax.axhline(0, color="#999999", linewidth=0.8)
        top.set_yscale("symlog", linthresh=1)
        top.yaxis.set_major_formatter(ScalarFormatter())
        top.set(title=name, xlabel="index / N")
        # Limits are set, for there may be nothing finite to plot.
        bottom.set(xlabel="steps T", xscale="log", xlim=(elapsed[0] / 1.2, elapsed[-1] * 1.2))
        if name == "tanh":
            top.plot([], [], "x", color="#555555", markeredgewidth=2, label="mean field, λ_1")
    axes[0, 0].set_ylabel("exponent λ_i (nats per step)")
    axes[1, 0].set_ylabel("running λ_1 (nats per step)")
    entries = [dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True)) for ax in axes[0]]
    named = {label: handle for found in entries for label, handle in found.items()}
    figure.legend(named.values(), named, loc="outside lower center", ncols=len(named))
    return figure


def _finite(values: np.ndarray) -> np.ndarray:
    """NaN, which is not drawn, for exponents that are not numbers on the axis."""
    return np.where(np.isfinite(values), values, np.nan)
