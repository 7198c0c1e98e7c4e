"""Pictures of what truncation costs: against the horizon, and while learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.bptt_horizon.config import TEXT
from rnnlab import plots

#: Lines of the two stages of training.
LINES = {"start": "--", "trained": "-"}


def horizons_of(data: xr.Dataset, task: str) -> np.ndarray:
    """The horizons of a task, which end at its number of steps."""
    return data.horizon.values[data.horizon.values <= data.steps.sel(task=task).item()]


def horizons(data: xr.Dataset) -> Figure:
    """A row for each task: cosine, bias and final loss against the horizon."""
    tasks = data.task.values
    figure, axes = plots.subplots(len(tasks), 3, width=11.0, height=0.8 + 2.8 * len(tasks))
    colors = plots.shades(data.sizes["network"])
    for row, task in zip(axes, tasks, strict=True):
        part = data.sel(task=task, horizon=horizons_of(data, task))
        for network, color in zip(data.network.values, colors, strict=True):
            _network(row, part.sel(network=network), color)
        row[2].axhline(float(part.baseline), color="#555555", linestyle="-.", label="baseline")
        row[0].set(ylabel="cosine with the full gradient", ylim=(None, 1.03))
        row[1].set(ylabel="bias / norm of the mean", yscale="log")
        row[2].set(ylabel="final loss", yscale="log" if task != TEXT else "linear")
        for ax in row:
            ax.set_title(f"{task}, T = {int(part.steps)}")
            _octaves(ax, part.horizon.values)
    handles, labels = axes[0, 2].get_legend_handles_labels()
    lines: dict[str, Any] = {**LINES, "noise of one batch": ":"}
    # A bias above zero at a single horizon is a dot: the whole sequence has none.
    dots = any(len(horizons_of(data, task)) <= 2 for task in tasks)
    for name, line in lines.items():
        dot = {"marker": "o", "markersize": 4, "fillstyle": "full" if line == "-" else "none"}
        look: dict[str, Any] = dot if dots and name in LINES else {}
        handles.append(Line2D([], [], color="#555555", linewidth=1.2, linestyle=line, **look))
        labels.append(name)
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
    return figure


def _network(axes: Sequence[Axes], data: xr.Dataset, color: tuple[float, ...]) -> None:
    """Cosine, bias and final loss of one network on one task."""
    cosine, bias, loss = axes
    name, horizon = str(data.network.item()), data.horizon.values
    for stage, line in LINES.items():
        at, label = data.sel(stage=stage), name if stage == "trained" else ""
        style: dict[str, Any] = {"color": color, "linestyle": line}
        _band(cosine, horizon, at.cosine, label, **style)
        _band(bias, horizon, _positive(at.bias), label, **style)
    level = float(data.noise.sel(stage="trained").median())
    bias.axhline(level, color=color, linestyle=":")
    _band(loss, horizon, data.loss.isel(step=-1), name, color=color, linestyle="-")


def curves(data: xr.Dataset) -> Figure:
    """A panel for every task and network, a line for each horizon."""
    tasks, networks = data.task.values, data.network.values
    width, height = 1.5 + 4.0 * len(networks), 0.8 + 3.0 * len(tasks)
    figure, axes = plots.subplots(len(tasks), len(networks), width=width, height=height)
    for row, task in zip(axes, tasks, strict=True):
        own = horizons_of(data, task)
        for ax, network in zip(row, networks, strict=True):
            for horizon, color in zip(own, plots.shades(len(own)), strict=True):
                losses = data.loss.sel(task=task, network=network, horizon=horizon)
                samples = losses.transpose("seed", "step").values
                label = f"k = {horizon}"
                plots.quantile_band(
                    ax, data.step.values, samples, label, color=color, linestyle="-"
                )
            baseline = float(data.baseline.sel(task=task))
            ax.axhline(baseline, color="#555555", linestyle=":", label="baseline")
            ax.set(title=f"{task}, {network}", xlabel="training steps", yscale="log")
            ax.set_ylabel("loss")
        row[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _band(ax: Axes, x: np.ndarray, values: xr.DataArray, label: str, **style: Any) -> None:
    plots.quantile_band(ax, x, values.transpose("seed", "horizon").values, label, **style)


def _positive(values: xr.DataArray) -> xr.DataArray:
    """Without zeros, which a logarithmic axis has no place for."""
    return values.where(values > 0)


def _octaves(ax: Axes, values: np.ndarray) -> None:
    ax.set(xlabel="horizon k (steps)", xscale="log")
    plots.ticks_at(ax.xaxis, values)
