"""Pictures, table and report of what the networks of `memory_tasks` have learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from experiments import _populations
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir


def write(workdir: Workdir, data: xr.Dataset, solved: float) -> None:
    """Writes pictures and report, and prints the table."""
    with plots.style():
        plots.save(draw_losses(data), workdir.path("losses.png"))
        plots.save(draw_success(data), workdir.path("success.png"))
    rows = table(data)
    seeds = data.sizes["seed"]
    report = Report("What can a network remember?")
    report.text(
        f"""A network has solved a task when its loss on fresh sequences is below {solved:g} of the
        loss that is reached without learning. Rates are over {seeds} seeds, with Wilson's 95 %
        interval. The gradient is log10 ‖∂L/∂s_0‖ at the start, for a loss at the last step; where
        it is far below zero, what happened T steps ago moves no weight."""
    )
    report.figure(
        workdir.path("losses.png"),
        caption=f"Loss on fresh sequences, median and quartiles of {seeds} seeds; dashed: without "
        "learning.",
        alt="Loss against training steps for every task and length, by network.",
    )
    report.figure(
        workdir.path("success.png"),
        caption=f"Share of {seeds} seeds that solve the task with Wilson's 95 % interval, against "
        "length, and against the gradient at the start.",
        alt="Success rate against sequence length and against the gradient at initialisation.",
    )
    told = foretold(data)
    report.table(
        told,
        caption="Does the gradient at the start foretell the loss at the end? Spearman's rank "
        "correlation of log10 ‖∂L/∂s_0‖ with the last loss, over all networks, lengths and seeds "
        "of a task: -1 where a larger gradient always means a smaller loss, 0 where it means "
        "nothing.",
    )
    report.table(rows, caption="Every task, length and network.")
    report.settings(workdir)
    report.write(workdir.path("report.html"))
    print_table(rows, title=f"Solved: loss below {solved:g} of the baseline, {seeds} seeds")
    print_table(told, title="Gradient at the start against the last loss: Spearman's correlation")


def table(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for every task, length and network."""
    rows = []
    for one in _each(data):
        solved, last = one.solved_at.values, _populations.last(one.loss.values)
        row = {
            "task": str(one.task.item()),
            "T": int(one.length),
            "network": str(one.network.item()),
            "solved": _populations.success_text(solved),
            "steps": _populations.middle(solved, "{:.0f}"),
            "loss": _populations.middle(last, "{:.3g}"),
            "best": f"{np.nanmin(last):.3g}" if np.isfinite(last).any() else "-",
            "baseline": f"{one.baseline.item():.3g}",
            "right": _populations.middle(_populations.last(one.right.values), "{:.3f}"),
            "log10 gradient": _populations.middle(one.log10_gradient.values, "{:.1f}"),
            "diverged": int(np.isfinite(one.diverged_at.values).sum()),
        }
        for length in data.test_length.values:
            right = one.test_right.sel(test_length=length).values
            row[f"right at {length}"] = _populations.middle(right, "{:.3f}")
        rows.append(row)
    return rows


def foretold(data: xr.Dataset) -> list[dict[str, Any]]:
    """For every task, how the gradient at the start and the last loss are ordered alike."""
    rows = []
    for task in data.task.values:
        parts = _each(data.sel(task=[task]))
        gradient = np.concatenate([part.log10_gradient.values for part in parts])
        last = np.concatenate([_populations.last(part.loss.values) for part in parts])
        known = ~np.isnan(gradient) & np.isfinite(last)
        gradient, last = gradient[known], last[known]
        varied = len(set(gradient)) > 1 and len(set(last)) > 1
        found: Any = spearmanr(gradient, last) if varied else None
        rows.append(
            {
                "task": str(task),
                "networks": len(last),
                "correlation": "-" if found is None else f"{found.statistic:.2f}",
                "p": "-" if found is None else f"{found.pvalue:.1g}",
            }
        )
    return rows


def draw_losses(data: xr.Dataset) -> Figure:
    """A panel for every task and length."""
    tasks, lengths = data.task.values, data.length.values
    figure, axes = plots.subplots(
        len(tasks), len(lengths), width=1.2 + 3.6 * len(lengths), height=0.8 + 2.8 * len(tasks)
    )
    axes = np.asarray(axes).reshape(len(tasks), len(lengths))
    for row, task in zip(axes, tasks, strict=True):
        for ax, length in zip(row, lengths, strict=True):
            panel = data.sel(task=task, length=length)
            for network, color in _colors(data):
                values = panel.loss.sel(network=network).values
                _populations.draw_quartiles(
                    ax, panel.step.values, values, network, color=color, linestyle="-"
                )
            ax.axhline(float(panel.baseline.values.ravel()[0]), color="#555555", linestyle="--")
            ax.set(title=f"{task}, T = {length}", xlabel="training steps", yscale="log")
        row[0].set_ylabel("loss")
    _legend(figure, axes.flat[0], data)
    return figure


def draw_success(data: xr.Dataset) -> Figure:
    """Above the success rate against T; below against the gradient at the start."""
    tasks = data.task.values
    figure, axes = plots.subplots(2, len(tasks), width=1.2 + 3.6 * len(tasks), height=6.4)
    axes = np.asarray(axes).reshape(2, len(tasks))
    for (above, below), task in zip(axes.T, tasks, strict=True):
        for index, (network, color) in enumerate(_colors(data)):
            part = data.sel(task=task, network=network)
            aside = 1.02 ** (index - (data.sizes["network"] - 1) / 2)  # so that none hides another
            solved, style = part.solved_at.values, {"color": color, "label": network}
            _populations.draw_success(above, part.length.values * aside, solved, **style)
            gradient = part.log10_gradient.mean("seed").values
            _populations.draw_success(below, gradient, solved, linestyle="none", **style)
        above.set(title=str(task), xlabel="length T", ylim=(-0.05, 1.05), xscale="log")
        above.set_xticks(data.length.values, labels=[str(length) for length in data.length.values])
        above.minorticks_off()
        below.locator_params(axis="x", nbins=5)
        below.set(xlabel="log10 ‖∂L/∂s_0‖ at the start", ylim=(-0.05, 1.05))
    for row in axes:
        row[0].set_ylabel("share of seeds that solve it")
    _legend(figure, axes[0, 0], data)
    return figure


def _each(data: xr.Dataset) -> list[xr.Dataset]:
    return [
        data.sel(task=task, length=length, network=network)
        for task in data.task.values
        for length in data.length.values
        for network in data.network.values
    ]


def _colors(data: xr.Dataset) -> list[tuple[str, tuple[float, ...]]]:
    colors = colormaps["viridis"](np.linspace(0, 0.92, data.sizes["network"]))
    names = [str(name) for name in data.network.values]
    return list(zip(names, map(tuple, colors), strict=True))


def _legend(figure: Figure, ax: Any, data: xr.Dataset) -> None:
    handles, labels = ax.get_legend_handles_labels()
    columns = min(max(len(labels), 1), 6)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
