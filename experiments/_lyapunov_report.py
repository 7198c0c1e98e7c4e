"""Pictures, tables and report of `lyapunov`."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from rnnlab import plots
from rnnlab.gradients import theory
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir


class Setting(Protocol):
    """What the report needs of the experiment's `Config`."""

    @property
    def seeds(self) -> int: ...

    @property
    def steps(self) -> int: ...

    @property
    def discard(self) -> int: ...

    @property
    def spectrum_cells(self) -> tuple[str, ...]: ...

    @property
    def spectrum_hidden(self) -> int: ...

    @property
    def spectrum_input_std(self) -> float: ...

    @property
    def spectrum_seeds(self) -> int: ...


def write(config: Setting, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    report = Report("Lyapunov exponents of random recurrent networks")
    report_exponents(config, workdir, data, report)
    if config.spectrum_cells:
        report_spectra(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def standard_error(samples: xr.DataArray, axis: str) -> xr.DataArray:
    """Standard error of the mean over the networks."""
    return samples.std(axis, ddof=1) / math.sqrt(samples.sizes[axis])


def exponent_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each input and gain: theory, and mean ± standard error for each width."""
    mean, error = data.exponent.mean("seed"), standard_error(data.exponent, "seed")
    return [
        {"input std": float(std), "gain": float(gain)}
        | {"mean field": f"{float(data.mean_field.loc[std, gain]):+.4f}"}
        | {f"N={int(width)}": _plus_minus(mean, error, width, std, gain) for width in data.width}
        for std in data.input_std
        for gain in data.gain
    ]


def _plus_minus(mean: xr.DataArray, error: xr.DataArray, width: Any, std: Any, gain: Any) -> str:
    point = {"width": width, "input_std": std, "gain": gain}
    return f"{float(mean.sel(point)):+.4f} ± {float(error.sel(point)):.4f}"


def spectrum_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each cell and gain: median and ends of the spectrum, and how much is positive."""
    rows = []
    for cell in data.cell.to_numpy():
        for gain in data.spectrum_gain.to_numpy():
            spectrum = data.spectrum.sel(cell=cell, spectrum_gain=gain).dropna("index")
            first = spectrum.isel(index=0)
            error = standard_error(first, "spectrum_seed")
            rows.append(
                {
                    "cell": cell,
                    "gain": float(gain),
                    "largest": f"{float(first.mean()):+.4f} ± {float(error):.4f}",
                    "median": float(spectrum.median()),
                    "smallest": float(spectrum.isel(index=-1).mean()),
                    "positive": float((spectrum > 0).sum("index").mean()),
                    "directions": spectrum.sizes["index"],
                }
            )
    return rows


def report_exponents(config: Setting, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The first measurement: picture, text and table."""
    with plots.style():
        picture = plots.save(draw_exponents(data), workdir.path("exponents.png"))
    report.text(
        "The largest Lyapunov exponent λ is the mean growth of a generic small perturbation, in "
        "nats per step. Gradients vanish on average where it is negative and explode where it is "
        "positive. Mean field predicts it for infinite width; every network has a finite one."
    )
    report.figure(
        picture,
        caption=f"Top: largest exponent of random tanh networks, mean and standard error over "
        f"{config.seeds} networks, against the gain; black: mean field; dotted: its critical gain. "
        "Bottom: the distance from mean field. Dashed, without input and below gain 1: ln ρ(wh) − "
        "ln gain of the same matrices, which is what a network at rest must have. At gain 1 and "
        f"without input the state has not come to rest after {config.steps} steps.",
        alt="Measured exponents approach the mean-field curve as the width grows.",
    )
    rows = exponent_rows(data)
    report.table(rows, caption="Largest exponent, nats per step, mean ± standard error.")
    print_table(rows, title="largest Lyapunov exponent of tanh networks, nats per step")


def report_spectra(config: Setting, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The second measurement: picture, text and table."""
    with plots.style():
        picture = plots.save(draw_spectra(config, data), workdir.path("spectra.png"))
    report.heading("Whole spectra")
    report.figure(
        picture,
        caption=f"Top: Lyapunov spectra at width N = {config.spectrum_hidden}, mean over "
        f"{config.spectrum_seeds} networks, band from the least to the largest, on an axis that is "
        "linear between −1 and 1; a cross marks the mean-field value of the largest exponent. "
        "Exponents of the LSTM belong to the joint state (h, c). Input of standard deviation "
        f"{config.spectrum_input_std:g} to every gate. Bottom: the largest exponent over the steps "
        "so far, median and quartiles.",
        alt="Gated cells keep many directions near zero; those of the tanh network decay faster.",
    )
    rows = spectrum_rows(data)
    report.table(
        rows,
        caption="Exponents in nats per step; `positive` counts expanding directions, on average.",
    )
    print_table(rows, title="Lyapunov spectra, nats per step")


def draw_exponents(data: xr.Dataset) -> Figure:
    """Exponent against gain, and below it the distance from mean field; a column per input."""
    figure, axes = plots.subplots(
        2, data.sizes["input_std"], width=9, height=6.4, sharex=True, sharey="row"
    )
    for (top, bottom), std in zip(axes.T, data.input_std.to_numpy(), strict=True):
        here = data.sel(input_std=std)
        fine = np.linspace(float(data.gain.min()), float(data.gain.max()), 200)
        top.plot(fine, theory.mean_field_exponent(fine, std), color="black", label="mean field")
        for ax in (top, bottom):
            ax.axhline(0, color="#999999", linewidth=0.8)
            ax.axvline(float(here.critical_gain), color="black", linestyle=":", linewidth=1)
        for color, width in zip(plots.COLORS, data.width.to_numpy(), strict=False):
            _draw_width(top, bottom, here.sel(width=width), color, resting=std == 0)
        critical = f"critical gain {float(here.critical_gain):.3g}"
        top.set(title=f"input std {std:g}, {critical}" if std else f"no input, {critical}")
        bottom.set(xlabel="gain")
    axes[0, 0].set_ylabel("largest exponent λ (nats per step)")
    axes[1, 0].set_ylabel("λ − mean field (nats per step)")
    axes[0, -1].legend()
    if axes[1, 0].get_legend_handles_labels()[0]:
        axes[1, 0].legend()
    return figure


def _draw_width(top: Axes, bottom: Axes, data: xr.Dataset, color: str, resting: bool) -> None:
    """Points of one width; where the network comes to rest, also what its matrix says."""
    mean, error = data.exponent.mean("seed"), standard_error(data.exponent, "seed")
    style = {"color": color, "linestyle": "", "marker": "o", "markersize": 4, "capsize": 2}
    top.errorbar(data.gain, mean, error, label=f"N = {int(data.width)}", **style)
    style |= {"linestyle": "-", "linewidth": 0.8}
    bottom.errorbar(data.gain, mean - data.mean_field, error, **style)
    if resting:
        below = data.gain.to_numpy()[data.gain.to_numpy() < 1]
        excess = np.full(below.shape, float(data.log_radius.mean()))
        label = "ln ρ(wh) − ln gain" if color == plots.COLORS[0] else ""
        bottom.plot(
            below, excess, color=color, linestyle="--", linewidth=2.5, alpha=0.5, label=label
        )


def draw_spectra(config: Setting, data: xr.Dataset) -> Figure:
    """Spectrum of each cell, and below it the convergence of its largest exponent."""
    names = data.cell.to_numpy()
    figure, axes = plots.subplots(2, len(names), width=9, height=6, sharey="row")
    for (top, bottom), name in zip(axes.T, names, strict=True):
        for color, gain in zip(plots.COLORS, data.spectrum_gain.to_numpy(), strict=False):
            here = data.sel(cell=name, spectrum_gain=gain)
            spectrum = here.spectrum.dropna("index").transpose("spectrum_seed", "index").to_numpy()
            place = (np.arange(spectrum.shape[1]) + 0.5) / config.spectrum_hidden
            look = {"color": color, "linestyle": "-"}
            top.plot(place, spectrum.mean(0), label=f"gain {gain:g}", **look)
            top.fill_between(place, spectrum.min(0), spectrum.max(0), color=color, alpha=0.2)
            if name == "tanh":
                value = theory.mean_field_exponent(gain, config.spectrum_input_std)
                top.plot(0, value, marker="x", color=color, markeredgewidth=2, clip_on=False)
            elapsed = here.step.to_numpy() - config.discard
            running = here.running.transpose("spectrum_seed", "step").to_numpy()
            plots.quantile_band(bottom, elapsed, running, f"gain {gain:g}", **look)
        for ax in (top, bottom):
            ax.axhline(0, color="#999999", linewidth=0.8)
        top.set_yscale("symlog", linthresh=1)
        top.yaxis.set_major_formatter(ScalarFormatter())
        top.set(title=name, xlabel="index / N")
        bottom.set(xlabel="steps T", xscale="log")
    axes[0, 0].set_ylabel("exponent λ_i (nats per step)")
    axes[1, 0].set_ylabel("running λ_1 (nats per step)")
    axes[0, 0].legend()
    return figure
