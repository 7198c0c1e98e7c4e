"""Pictures of `gradient_profiles`."""

from typing import Any, cast

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from experiments.gradient_profiles.growth import time_constant
from rnnlab import plots
from rnnlab.gradients import theory

MEMORIES = "Memories that never forget"
#: Cells of the picture, family by family; cells of no family come last.
FAMILIES = {
    "Simple recurrent networks": ("tanh", "relu", "sigmoid", "linear"),
    MEMORIES: ("additive", "cec", "lstm1997", "lstm_nfg"),
    "Long short-term memory": ("lstm", "lstm_peephole", "lstm_coupled", "lstm_cell_norm"),
    "Ablations of the LSTM": (
        *("lstm_nig", "lstm_nog", "lstm_niaf", "lstm_noaf", "lstm_cifg", "lstm_np", "lstm_fgr"),
    ),
    "Gated recurrent units and their relatives": (
        *("gru", "gru_reset_before", "mgu", "minimal", "mut1", "mut2", "mut3"),
    ),
}

#: Looks of the parts of the state. The joint state lies under its parts, which often coincide.
LOOKS: dict[str, dict[str, Any]] = {
    "joint": {"color": "#999999", "linewidth": 3.5},
    "h": {"color": plots.COLORS[0], "linewidth": 1.4},
    "c": {"color": plots.COLORS[1], "linewidth": 1.4, "linestyle": "--"},
}


#: Most cells in one panel.
TOGETHER = 8


def _families(data: xr.Dataset) -> dict[str, list[str]]:
    """The cells that were measured, by family."""
    known = data.cell.to_numpy().tolist()
    families = {
        family: [name for name in names if name in known] for family, names in FAMILIES.items()
    }
    families["Others"] = [name for name in known if not any(name in f for f in families.values())]
    return {family: names for family, names in families.items() if names}


def plot_together(data: xr.Dataset) -> Figure:
    """The joint gradient of all cells in one panel; of many, in a panel for each family."""
    names = data.cell.to_numpy().tolist()
    groups = {"": names} if len(names) <= TOGETHER else _families(data)
    columns = min(len(groups), 2)
    rows = -(-len(groups) // columns)
    width, height = (7.0, 4.2) if len(groups) == 1 else (12.0, 3.6 * rows)
    figure, axes = plots.subplots(rows, columns, width=width, height=height)
    for ax, (family, own) in zip(axes.flat, groups.items(), strict=False):
        ax.axhline(0, color="#cccccc", linewidth=0.8)
        for name in own:
            samples = _samples(data, name, "joint")
            if not np.isnan(samples).all():
                plots.quantile_band(ax, data.steps_before_loss, samples, name)
        ax.set(title=family, xlabel="steps before the loss", ylabel="log10 ‖∂L/∂s_t‖")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    for ax in axes.flat[len(groups) :]:
        ax.remove()
    return figure


def _samples(data: xr.Dataset, name: str, part: str) -> np.ndarray:
    """`[seed, steps]` of a cell, nan where the gradient is exactly zero."""
    samples = data.log10_norm.sel(cell=name, part=part).transpose("seed", ...).to_numpy()
    return np.where(np.isfinite(samples), samples, np.nan)


def plot_profiles(data: xr.Dataset) -> Figure:
    """A small panel for each cell, at most four in a row, family by family."""
    families = _families(data)
    columns = min(max(map(len, families.values())), 4)
    rows = [-(-len(names) // columns) for names in families.values()]
    width = {1: 5.0, 2: 5.5, 3: 7.0, 4: 9.0}[columns]
    figure, _ = plots.subplots(width=width, height=0.5 + 1.75 * sum(rows))
    figure.clear()
    boxes = np.atleast_1d(cast(Any, figure.subfigures(len(rows), 1, height_ratios=rows)))
    for box, height, (family, names) in zip(boxes, rows, families.items(), strict=True):
        _plot_family(box, (height, columns), family, names, data)
    measured = np.isfinite(data.log10_norm)
    drawn = [part for part in LOOKS if bool(measured.sel(part=part).any())]
    lines = [Line2D([], [], label=part, **LOOKS[part]) for part in drawn]
    boxes[0].legend(handles=lines, ncols=3, loc="upper right", fontsize=8, borderpad=0)
    return figure


def _plot_family(
    box: SubFigure, shape: tuple[int, int], family: str, names: list[str], data: xr.Dataset
) -> None:
    box.suptitle(family, x=0.01, ha="left", fontweight="bold", fontsize=11)
    axes = box.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    for ax, name in zip(axes.flat, names, strict=False):
        ax.axhline(0, color="#cccccc", linewidth=0.8)
        for part, look in LOOKS.items():
            samples = _samples(data, name, part)
            if not np.isnan(samples).all():
                plots.quantile_band(ax, data.steps_before_loss, samples, part, **look)
        ax.set_title(name, fontsize=10, pad=3)
        ax.xaxis.get_major_locator().set_params(integer=True)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
        above = axes[-2, list(axes[-1]).index(ax)] if len(axes) > 1 else ax
        above.tick_params(labelbottom=True)
    for ax in axes[-1]:
        ax.set_xlabel("steps before the loss")
    box.supylabel("log10 ‖∂L/∂s_t‖", fontsize=10)


def plot_forgetting(data: xr.Dataset) -> Figure:
    """Time constant against forget bias, a panel for each radius."""
    radii = data.forget_radius.to_numpy()
    figure, axes = plots.subplots(1, len(radii), width=10, height=3.6, sharey=True, sharex=True)
    fine = np.linspace(float(data.forget_bias.min()), float(data.forget_bias.max()), 200)
    top = 4 * float(data.forget_theory.max())
    for ax, radius in zip(axes[0], radii, strict=True):
        ax.plot(
            fine,
            theory.forget_time_constant(fine),
            color="black",
            linestyle="-",
            linewidth=1,
            label="−1 / ln σ(b)",
        )
        if radius:
            kept = 1 / (1 + np.exp(-fine)) + radius / 4
            tau = np.where(kept < 1, -1 / np.log(np.minimum(kept, 1 - 1e-9)), np.nan)
            ax.plot(
                fine, tau, color="black", linestyle=":", linewidth=1.2, label="−1 / ln (σ(b) + ρ/4)"
            )
        for index, name in enumerate(data.forget_cell.to_numpy()):
            here = data.forget_growth.sel(forget_cell=name, forget_radius=radius)
            offset = 0.1 * (index - (data.sizes["forget_cell"] - 1) / 2)
            color = plots.COLORS[index % len(plots.COLORS)]
            _plot_time_constants(ax, here.transpose("seed", ...), offset, top, color, name)
        title = f"recurrent radius ρ = {radius:g}" if radius else "no recurrence, ρ = 0"
        ax.set(xlabel="forget bias b", title=title, yscale="log", ylim=(None, 1.15 * top))
    axes[0, 0].set_ylabel("time constant of ‖∂L/∂c_t‖ (steps)")
    figure.legend(*axes[0, -1].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure


def _plot_time_constants(
    ax: Axes, growth: xr.DataArray, offset: float, top: float, color: str, label: str
) -> None:
    """Medians with quartiles, beside each other by an offset; triangles at the top for growth."""
    low, median, high = np.minimum(
        time_constant(np.quantile(growth, [0.25, 0.5, 0.75], axis=0)), top
    )
    place = growth.forget_bias.to_numpy() + offset
    finite = median < top
    look: dict[str, Any] = {"color": color, "linestyle": ""}
    errors = np.stack([median - low, high - median])[:, finite]
    ax.errorbar(
        place[finite], median[finite], errors, marker="o", markersize=4, label=label, **look
    )
    ax.plot(place[~finite], median[~finite], marker="^", markersize=4, fillstyle="none", **look)
