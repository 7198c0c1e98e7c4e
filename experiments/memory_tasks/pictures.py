"""Pictures of `memory_tasks`: losses while learning, and success rates."""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnlab import plots


def losses(data: xr.Dataset) -> Figure:
    """A panel for every task and length: loss against training steps, by network."""
    tasks, lengths = data.task.values, data.length.values
    figure, axes = plots.subplots(
        len(tasks), len(lengths), width=1.2 + 3.6 * len(lengths), height=0.8 + 2.8 * len(tasks)
    )
    for row, task in zip(axes, tasks, strict=True):
        for ax, length in zip(row, lengths, strict=True):
            panel = data.sel(task=task, length=length)
            for network, color in _colors(data):
                samples = panel.loss.sel(network=network).transpose("seed", "step").values
                style = {"color": color, "linestyle": "-", "finite_only": True}
                plots.quantile_band(ax, panel.step.values, samples, network, **style)
            baseline = float(panel.baseline.values.ravel()[0])
            ax.axhline(baseline, color="#555555", linestyle="--", label="baseline")
            ax.set(title=f"{task}, T = {length}", xlabel="training steps", yscale="log")
        row[0].set_ylabel("loss")
    plots.legend_below(figure, axes.flat[0])
    return figure


def success(data: xr.Dataset) -> Figure:
    """Above the success rate against T; below against the gradient at the start."""
    tasks = data.task.values
    figure, axes = plots.subplots(2, len(tasks), width=1.2 + 3.6 * len(tasks), height=6.4)
    for (above, below), task in zip(axes.T, tasks, strict=True):
        _rates(above, below, data.sel(task=task))
        above.set_title(str(task))
    for row in axes:
        row[0].set_ylabel("share of seeds that solve it")
    plots.legend_below(figure, axes[0, 0])
    return figure


def _rates(above: Axes, below: Axes, data: xr.Dataset) -> None:
    """The rates of one task."""
    for index, (network, color) in enumerate(_colors(data)):
        one = data.sel(network=network)
        aside = 1.02 ** (index - (data.sizes["network"] - 1) / 2)  # so that none hides another
        solved, style = one.solved_at.values, {"color": color, "label": network}
        plots.success_rates(above, one.length.values * aside, solved, **style)
        gradient = one.log10_gradient.mean("seed").values
        plots.success_rates(below, gradient, solved, linestyle="none", **style)
    plots.rates_by_length(above, data.length.values)
    below.locator_params(axis="x", nbins=5)
    below.set(xlabel="log10 ‖∂L/∂s_0‖ at the start", ylim=(-0.05, 1.05))
    below.margins(x=0.1)


def _colors(data: xr.Dataset) -> list[tuple[str, tuple[float, ...]]]:
    names = [str(name) for name in data.network.values]
    return list(zip(names, plots.shades(len(names)), strict=True))
