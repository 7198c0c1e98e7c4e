"""Pictures, table and report of `clipping`."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from experiments import _populations
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir

#: Variables `[step, seed]` of the result, and what evaluations call them.
EVALUATED = {
    "loss": "loss",
    "wrong": "wrong",
    "spectral_radius": "spectral_radius/h",
    "sigma_max": "sigma_max/h",
}
#: Variables `[until, seed]`, means over the steps of a dispatch, and what training calls them.
TRAINED = {"gradient_norm": "gradient_norm", "clipped": "clipped", "omega": "penalty"}
#: Methods as the paper calls them.
TITLES = {"sgd": "MSGD", "clip": "MSGD-C", "clip_penalty": "MSGD-CR"}
#: Files of curves: variable, label of the axis, and scale.
CURVES = {
    "losses.png": ("loss", "loss in nats", "log"),
    "gradients.png": ("gradient_norm", "gradient norm before clipping", "log"),
    "radii.png": ("spectral_radius", "spectral radius ρ of W_h", "linear"),
}


def write(workdir: Workdir, data: xr.Dataset, solved: float) -> None:
    """Writes pictures and report, and prints the table."""
    with plots.style():
        plots.save(draw_success(data), workdir.path("success.png"))
        for name, (variable, label, scale) in CURVES.items():
            plots.save(draw_curves(data, variable, label, scale), workdir.path(name))
    rows = table(data)
    seeds = data.sizes["seed"]
    report = Report("Clipping and regularising the gradient: temporal order")
    report.text(
        f"""MSGD is plain stochastic gradient descent, MSGD-C clips the norm of the gradient, and
        MSGD-CR also has the regulariser Ω that keeps the gradient's norm on its way back. A network
        has solved the task when less than {100 * solved:g} % of fresh sequences are answered
        wrongly. Rates are over {seeds} seeds, with Wilson's 95 % interval."""
    )
    report.figure(
        workdir.path("success.png"),
        caption=f"Share of {seeds} seeds that solve the task, with Wilson's 95 % interval.",
        alt="Success rate against the length of sequences, by method, for every start.",
    )
    for name, (_, label, _) in CURVES.items():
        report.figure(
            workdir.path(name),
            caption=f"{label.capitalize()}: median and quartiles of the seeds."
            + (" Dashed: without learning." if name == "losses.png" else ""),
            alt=f"{label} against training steps for every start and length, by method.",
        )
    report.table(rows, caption="Every start, length and method; of seeds, medians.")
    report.settings(workdir)
    report.write(workdir.path("report.html"))
    print_table(rows, title=f"Solved: less than {100 * solved:g} % wrong, {seeds} seeds")


def table(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for every start, length and method."""
    rows = []
    for one in _each(data):
        clipped = one.clipped.values
        row = {
            "start": str(one.start.item()),
            "T": int(one.length),
            "method": str(one.method.item()),
            "solved": _populations.success_text(one.solved_at.values),
            "steps": _populations.middle(one.solved_at.values, "{:.0f}"),
            "of": int(one.steps_made),
            "loss": _populations.middle(_populations.last(one.loss.values), "{:.3g}"),
            "wrong": _populations.middle(_populations.last(one.wrong.values), "{:.3f}"),
            "ρ": _populations.middle(_populations.last(one.spectral_radius.values), "{:.2f}"),
            "σ_max": _populations.middle(_populations.last(one.sigma_max.values), "{:.2f}"),
            "clipped": _populations.middle(_mean(clipped), "{:.2f}"),
            "diverged": int(np.isfinite(one.diverged_at.values).sum()),
        }
        for length in data.test_length.values:
            wrong = one.test_wrong.sel(test_length=length).values
            row[f"wrong at {length}"] = _populations.middle(wrong, "{:.3f}")
        rows.append(row)
    return rows


def draw_success(data: xr.Dataset) -> Figure:
    """A panel for every start: success rate against T."""
    starts, lengths = data.start.values, data.length.values
    figure, axes = plots.subplots(1, len(starts), width=1.6 + 3.4 * len(starts), height=3.4)
    for ax, start in zip(axes[0], starts, strict=True):
        for index, (method, style) in enumerate(_styles(data)):
            aside = 1.015 ** (index - (data.sizes["method"] - 1) / 2)  # so that none hides another
            solved_at = data.solved_at.sel({"start": start, "method": method}).values
            _populations.draw_success(ax, lengths * aside, solved_at, **style)
        ax.set(title=str(start), xlabel="length T", ylim=(-0.05, 1.05), xscale="log")
        ax.set_xticks(lengths, labels=[str(length) for length in lengths])
        ax.minorticks_off()
    axes[0, 0].set_ylabel("share of seeds that solve it")
    _legend(figure, axes[0, 0])
    return figure


def draw_curves(data: xr.Dataset, variable: str, label: str, scale: str) -> Figure:
    """A panel for every start and length: a variable against training steps, by method."""
    starts, lengths = data.start.values, data.length.values
    figure, axes = plots.subplots(
        len(starts), len(lengths), width=1.2 + 3.6 * len(lengths), height=0.8 + 2.8 * len(starts)
    )
    for row, start in zip(axes, starts, strict=True):
        for ax, length in zip(row, lengths, strict=True):
            panel = data[variable].sel(start=start, length=length)
            steps = panel[panel.dims[-2]].values
            for method, style in _styles(data):
                _populations.draw_quartiles(
                    ax, steps, panel.sel({"method": method}).values, **style
                )
            ax.set(title=f"{start}, T = {length}", xlabel="training steps", yscale=scale)
            ax.locator_params(axis="x", nbins=5)
            if variable == "loss":
                ax.axhline(float(data.baseline.values.flat[0]), color="#555555", linestyle="--")
        row[0].set_ylabel(label)
    _legend(figure, axes[0, 0])
    return figure


def _each(data: xr.Dataset) -> list[xr.Dataset]:
    return [
        data.sel({"start": start, "length": length, "method": method})
        for start in data.start.values
        for length in data.length.values
        for method in data.method.values
    ]


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of each seed over the steps that it has made, `[until, seed]` to `[seed]`."""
    counts = np.isfinite(values).sum(axis=0)
    return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)


def _styles(data: xr.Dataset) -> list[tuple[str, dict[str, Any]]]:
    """Colour and name in the legend of every method."""
    colors = dict(zip(TITLES, plots.COLORS, strict=False))
    return [
        (name, {"color": colors[name], "linestyle": "-", "label": TITLES[name]})
        for name in map(str, data.method.values)
    ]


def _legend(figure: Figure, ax: Any) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(len(labels), 1))
