"""Pictures, table and report of what truncation costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir

#: Lines of the two stages of training.
LINES = {"start": "--", "trained": "-"}


def write(workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the table."""
    with plots.style():
        plots.save(draw_horizons(data), workdir.path("horizons.png"))
        plots.save(draw_curves(data), workdir.path("curves.png"))
    rows, seeds = table(data), data.sizes["seed"]
    report = Report("What does truncated backpropagation through time cost?")
    report.text(
        f"""The gradient is cut every k steps. Cosine and relative bias compare it with the full
        gradient, over the same batches; the bias is what averaging over batches does not remove,
        and where it is below the noise of a batch, a step cannot tell. The final loss is that of
        training with the cut gradient. Medians and quartiles are over {seeds} seeds."""
    )
    report.figure(
        workdir.path("horizons.png"),
        caption="Dashed: at the start. Solid: after training with the full gradient. Dotted, with "
        "the bias: noise of one batch. Dotted, with the loss: loss without memory.",
        alt="Cosine, bias and final loss against the horizon k, by task and network.",
    )
    report.figure(
        workdir.path("curves.png"),
        caption="Loss while training with gradients that are cut after k steps.",
        alt="Loss against training steps for each horizon, by task and network.",
    )
    report.table(rows, caption="Every task, network and horizon; medians over seeds.")
    report.settings(workdir)
    report.write(workdir.path("report.html"))
    print_table(rows, title=f"What truncation costs; medians of {seeds} seeds")


def table(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for every task, network and horizon."""
    rows = []
    for task in data.task.values:
        for network in data.network.values:
            for horizon in horizons(data, task):
                one = data.sel(task=task, network=network, horizon=horizon)
                row = {"task": str(task), "network": str(network), "k": int(horizon)}
                for stage in LINES:
                    row[f"cosine, {stage}"] = f"{one.cosine.sel(stage=stage).median():.3f}"
                for stage in LINES:
                    row[f"bias, {stage}"] = f"{one.bias.sel(stage=stage).median():.3g}"
                row["noise, trained"] = f"{one.noise.sel(stage='trained').median():.3g}"
                row["final loss"] = f"{one.loss.isel(step=-1).median():.4g}"
                row["loss without memory"] = f"{one.baseline.item():.4g}"
                row["diverged"] = int(np.isfinite(one.diverged_at.values).sum())
                rows.append(row)
    return rows


def horizons(data: xr.Dataset, task: str) -> np.ndarray:
    """The horizons of a task, which end at its number of steps."""
    return data.horizon.values[data.horizon.values <= data.steps.sel(task=task).item()]


def draw_horizons(data: xr.Dataset) -> Figure:
    """A row for each task: cosine, bias and final loss against the horizon."""
    tasks = data.task.values
    figure, axes = plots.subplots(len(tasks), 3, width=11.0, height=0.8 + 2.8 * len(tasks))
    for row, task in zip(axes, tasks, strict=True):
        part = data.sel(task=task, horizon=horizons(data, task))
        for network, color in zip(data.network.values, _colors(data.sizes["network"]), strict=True):
            own = part.sel(network=network)
            for stage, line in LINES.items():
                style: dict[str, Any] = {"color": color, "linestyle": line}
                label = str(network) if stage == "trained" else ""
                at = own.sel(stage=stage)
                _band(row[0], part.horizon.values, at.cosine, label, **style)
                _band(row[1], part.horizon.values, _positive(at.bias), label, **style)
            level = float(own.noise.sel(stage="trained").median())
            row[1].axhline(level, color=color, linestyle=":")
            last = own.loss.isel(step=-1)
            _band(row[2], part.horizon.values, last, str(network), color=color, linestyle="-")
        row[2].axhline(float(part.baseline), color="#555555", linestyle=":")
        row[0].set(ylabel="cosine with the full gradient", ylim=(None, 1.03))
        row[1].set(ylabel="bias / norm of the mean", yscale="log")
        row[2].set(ylabel="final loss", yscale="log" if task != "text" else "linear")
        for ax in row:
            ax.set_title(f"{task}, T = {int(part.steps)}")
            _octaves(ax, part.horizon.values)
    handles, labels = axes[0, 2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(len(labels), 1))
    return figure


def draw_curves(data: xr.Dataset) -> Figure:
    """A panel for every task and network, a line for each horizon."""
    tasks, networks = data.task.values, data.network.values
    figure, axes = plots.subplots(
        len(tasks),
        len(networks),
        width=1.5 + 4.0 * len(networks),
        height=0.8 + 3.0 * len(tasks),
    )
    for row, task in zip(axes, tasks, strict=True):
        own = horizons(data, task)
        for ax, network in zip(row, networks, strict=True):
            for horizon, color in zip(own, _colors(len(own)), strict=True):
                losses = data.loss.sel(task=task, network=network, horizon=horizon)
                samples = losses.transpose("seed", "step").values
                label = f"k = {horizon}"
                plots.quantile_band(
                    ax, data.step.values, samples, label, color=color, linestyle="-"
                )
            ax.axhline(float(data.baseline.sel(task=task)), color="#555555", linestyle=":")
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
    ax.set(xlabel="horizon k", xscale="log")
    ax.set_xticks(values, labels=[str(value) for value in values])
    ax.minorticks_off()


def _colors(count: int) -> list[tuple[float, ...]]:
    return [tuple(color) for color in colormaps["viridis"](np.linspace(0, 0.88, count))]
