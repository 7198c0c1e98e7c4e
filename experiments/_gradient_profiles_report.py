"""Pictures, tables and report of `gradient_profiles`."""

from __future__ import annotations

import math
from typing import Any, Protocol, cast

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from rnnlab import plots
from rnnlab.gradients import theory
from rnnlab.run.report import Report
from rnnlab.run.tables import print_table
from rnnlab.run.workdir import Workdir

#: Cells of the picture, family by family; a cell that no family names comes last.
FAMILIES = {
    "Simple recurrent networks": ("tanh", "relu", "sigmoid", "linear"),
    "Memories that never forget": ("additive", "cec", "lstm1997", "lstm_nfg"),
    "Long short-term memory": ("lstm", "lstm_peephole", "lstm_coupled", "lstm_cell_norm"),
    "Ablations of the LSTM": (
        *("lstm_nig", "lstm_nog", "lstm_niaf", "lstm_noaf", "lstm_cifg", "lstm_np", "lstm_fgr"),
    ),
    "Gated recurrent units and their relatives": (
        *("gru", "gru_reset_before", "mgu", "minimal", "mut1", "mut2", "mut3"),
    ),
}

#: What is measured, and its look: the joint state under its parts, which it often coincides with.
PARTS = {
    "joint": {"color": "#999999", "linewidth": 3.5},
    "h": {"color": plots.COLORS[0], "linewidth": 1.4},
    "c": {"color": plots.COLORS[1], "linewidth": 1.4, "linestyle": "--"},
}


class Setting(Protocol):
    """What the report needs of the experiment's `Config`."""

    @property
    def hidden(self) -> int: ...

    @property
    def batch(self) -> int: ...

    @property
    def seeds(self) -> int: ...

    @property
    def init(self) -> str: ...

    @property
    def radius(self) -> float: ...

    @property
    def input_scale(self) -> float: ...

    @property
    def forget_cells(self) -> tuple[str, ...]: ...

    @property
    def forget_input_scale(self) -> float: ...


def write(config: Setting, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes pictures and report, and prints the tables."""
    report = Report("How far back a loss is felt")
    report_profiles(config, workdir, data, report)
    if config.forget_cells:
        report_forgetting(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def time_constant(growth: Any) -> Any:
    """Steps in which a gradient falls to 1/e, from its growth in decades per step; inf if never."""
    return np.where(growth < 0, -1 / (np.log(10) * np.where(growth < 0, growth, -1)), np.inf)


def growth_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each cell: quartiles of the growth of the joint gradient, and its half-life."""
    rows = []
    for name in data.cell.to_numpy():
        low, median, high = np.quantile(data.growth.sel(cell=name, part="joint"), [0.25, 0.5, 0.75])
        end = data.log10_norm.sel(cell=name, part="joint").isel(steps_before_loss=-1)
        rows.append(
            {
                "cell": name,
                "lower quartile": f"{low:+.4f}",
                "median": f"{median:+.4f}",
                "upper quartile": f"{high:+.4f}",
                "half-life (steps)": half_life(median),
                "log10 ‖∂L/∂s_0‖": f"{float(np.median(end)):+.1f}",
            }
        )
    return rows


def half_life(growth: float) -> str:
    """Steps in which the gradient halves, from decades per step; what it does instead, if so."""
    if math.isnan(growth):
        return "exactly zero"
    if abs(growth) < 1e-6:
        return "constant"
    steps = f"{math.log10(2) / abs(growth):.3g}"
    return steps if growth < 0 else f"doubles in {steps}"


def forgetting_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each radius and bias: the theory, and the median time constant of each cell."""
    tau = time_constant(data.forget_growth.median("seed").to_numpy())
    rows = []
    for i, radius in enumerate(data.forget_radius.to_numpy()):
        for j, bias in enumerate(data.forget_bias.to_numpy()):
            row: dict[str, Any] = {"radius": float(radius), "forget bias": float(bias)}
            row["−1/ln σ(b)"] = float(data.forget_theory[j])
            for k, name in enumerate(data.forget_cell.to_numpy()):
                row[name] = float(tau[k, i, j]) if np.isfinite(tau[k, i, j]) else "grows"
            rows.append(row)
    return rows


def report_profiles(config: Setting, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The first measurement: text, picture and table."""
    with plots.style():
        picture = plots.save(draw_profiles(data), workdir.path("profiles.png"))
    report.text(
        f"The loss is the mean of the last output times √{config.hidden}. Every recurrent block is "
        f"{config.init} and has the spectral radius {config.radius:g}; the input adds Gaussian "
        f"noise of standard deviation {config.input_scale:g} to every gate; biases are those with "
        "which each cell starts, 1 for forget gates."
    )
    report.figure(
        picture,
        caption="log10 of the norm of the gradient of the loss with respect to the state, against "
        "the number of steps before the loss: joint state (grey), h (blue) and c (orange). Median "
        f"and quartiles over {config.seeds} networks, each the mean over {config.batch} sequences. "
        "A line ends where the gradient is exactly zero. Scales are shared within a family. "
        "Memories that never forget have no constant rate: c grows with time, and the tanh behind "
        "it closes the paths through h.",
        alt="Gradients of most cells decay exponentially; those of cells with a carousel that "
        "never forgets do not.",
    )
    rows = growth_rows(data)
    report.table(
        rows,
        caption="Growth of the gradient by the joint state per step back in time, in decades, over "
        "the half of the sequence that is farther from the loss; last column: median at t = 0.",
    )
    print_table(rows, title="growth of ‖∂L/∂s_t‖ per step back, decades")


def report_forgetting(config: Setting, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The second measurement: text, picture and table."""
    with plots.style():
        picture = plots.save(draw_forgetting(data), workdir.path("forget_bias.png"))
    report.heading("Forget bias and time constant")
    report.text(
        "The curve is τ = −1 / ln σ(b), what a forget gate does that its bias alone sets. It holds "
        "where the recurrent matrices are zero. Where they are not, the error also returns to c "
        "through h and the gates, and adds to what the forget gate keeps."
    )
    report.figure(
        picture,
        caption="Time constant of ‖∂L/∂c_t‖, from the slope of its logarithm far from the loss, "
        f"against the forget bias; median and quartiles over {config.seeds} networks, input scale "
        f"{config.forget_input_scale:g}. Solid: without recurrence. Dotted: the most that an LSTM "
        "at rest can keep, whose input and output gates stand at ½. Triangles on the upper edge: "
        "the gradient grows.",
        alt="Without recurrence all cells lie on the theory; with it, time constants are longer "
        "and gradients grow at large biases.",
    )
    rows = forgetting_rows(data)
    report.table(rows, caption="Median time constant of ‖∂L/∂c_t‖ in steps.")
    print_table(rows, title="time constant of ‖∂L/∂c_t‖, steps")


def draw_profiles(data: xr.Dataset) -> Figure:
    """A small panel for each cell, four in a row, family by family."""
    known = data.cell.to_numpy().tolist()
    families = {
        family: [name for name in names if name in known] for family, names in FAMILIES.items()
    }
    families["Others"] = [name for name in known if not any(name in f for f in families.values())]
    families = {family: names for family, names in families.items() if names}
    rows = [-(-len(names) // 4) for names in families.values()]
    figure, _ = plots.subplots(width=9, height=0.5 + 1.75 * sum(rows))
    figure.clear()
    boxes = np.atleast_1d(cast(Any, figure.subfigures(len(rows), 1, height_ratios=rows)))
    for box, height, (family, names) in zip(boxes, rows, families.items(), strict=True):
        _draw_family(box, height, family, names, data)
    lines = [Line2D([], [], label=part, **look) for part, look in PARTS.items()]
    boxes[0].legend(handles=lines, ncols=3, loc="upper right", fontsize=8, borderpad=0)
    return figure


def _draw_family(
    box: SubFigure, rows: int, family: str, names: list[str], data: xr.Dataset
) -> None:
    box.suptitle(family, x=0.01, ha="left", fontweight="bold", fontsize=11)
    axes = box.subplots(rows, 4, sharex=True, sharey=True, squeeze=False)
    for ax, name in zip(axes.flat, names, strict=False):
        ax.axhline(0, color="#cccccc", linewidth=0.8)
        for part, look in PARTS.items():
            samples = data.log10_norm.sel(cell=name, part=part).transpose("seed", ...).to_numpy()
            samples = np.where(np.isfinite(samples), samples, np.nan)
            if not np.isnan(samples).all():
                plots.quantile_band(ax, data.steps_before_loss, samples, part, **look)
        ax.set_title(name, fontsize=10, pad=3)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
        above = axes[-2, list(axes[-1]).index(ax)] if rows > 1 else ax
        above.tick_params(labelbottom=True)
    for ax in axes[-1]:
        ax.set_xlabel("steps before the loss")
    box.supylabel("log10 ‖∂L/∂s_t‖", fontsize=10)


def draw_forgetting(data: xr.Dataset) -> Figure:
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
            _draw_time_constants(ax, here.transpose("seed", ...), offset, top, color, name)
        title = f"recurrent radius ρ = {radius:g}" if radius else "no recurrence, ρ = 0"
        ax.set(xlabel="forget bias b", title=title, yscale="log", ylim=(None, 1.15 * top))
    axes[0, 0].set_ylabel("time constant of ‖∂L/∂c_t‖ (steps)")
    figure.legend(*axes[0, -1].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure


def _draw_time_constants(
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
