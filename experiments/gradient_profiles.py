"""How far back is a loss felt, cell by cell, and what does the forget bias change?

First, `log10 ‖∂L/∂s_t‖` against the number of steps before the loss, for every cell: of h, of c
where the cell has it, and of the joint state. The loss is a projection of the last output. All
recurrent blocks are drawn by one initialiser and rescaled to the same measured spectral radius, so
that cells differ by their equations alone; inputs are white Gaussian noise.

Second, the time constant of the gradient by c of the LSTM's variants against the forget bias b.
A forget gate that nothing else moves forgets with τ = −1 / ln σ(b). That is exact where the
recurrent matrices are zero. With them the error also leaves c through h and the gates and comes
back: without input at most `i o ρ = ρ/4` per step is added to σ(b), so that beyond some bias the
gradient grows and there is no time constant.

Source: Hochreiter 1991; Bengio, Simard and Frasconi 1994; Gers, Schmidhuber and Cummins 2000 and
Jozefowicz, Zaremba and Sutskever 2015 (forget bias).
Command: python run.py --experiment=gradient_profiles --config.cells=tanh,lstm,gru
Expected: decades per step about −0.20 for tanh, −0.085 for the LSTM, −0.18 for the GRU, 0 for the
additive identity; forget bias 4 without recurrence τ = 54.8 (theory 55.1). Takes about 60 s on two
cores, most of it compilation.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from rnnlab import cells, initializers, plots, registry, results
from rnnlab.cells.base import set_block
from rnnlab.errors import UsageError
from rnnlab.gradients import adjoint_profile, theory
from rnnlab.gradients.parts import leaf_names
from rnnlab.report import Report
from rnnlab.tables import print_table
from rnnlab.workdir import Workdir

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


@dataclasses.dataclass(frozen=True)
class Config:
    """Both measurements."""

    #: Cells, by name.
    cells: tuple[str, ...] = tuple(cells.CELLS)
    #: Hidden units.
    hidden: int = 64
    #: Steps T of each sequence, at least 4.
    length: int = 100
    #: Sequences for each network.
    batch: int = 2
    #: Networks for each cell.
    seeds: int = 20
    #: Initialiser of every recurrent block: orthogonal, identity, gaussian or uniform.
    init: str = "orthogonal"
    #: Spectral radius to which every recurrent block is rescaled, above 0.
    radius: float = 1.0
    #: Standard deviation of what the input adds to each gate, at least 0.
    input_scale: float = 1.0
    #: LSTM variants whose forget bias is varied; empty for none.
    forget_cells: tuple[str, ...] = (
        *("lstm", "lstm_peephole", "lstm_coupled", "lstm_nig", "lstm_noaf"),
    )
    #: Forget biases.
    forget_biases: tuple[float, ...] = (-2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0)
    #: Spectral radii of the recurrent blocks while the forget bias is varied, each at least 0.
    forget_radii: tuple[float, ...] = (0.0, 0.1, 1.0)
    #: The input scale while the forget bias is varied, at least 0.
    forget_input_scale: float = 0.1
    #: Floating type: float64 or float32.
    dtype: str = "float64"
    #: Seed of all networks and inputs.
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in (*self.cells, *self.forget_cells):
            if name not in cells.CELLS:
                field = "cells" if name in self.cells else "forget_cells"
                raise registry.unknown(f"{field}={name}", "cell", name, cells.CELLS)
        for name in self.forget_cells:
            if not has_forget_gate(name):
                known = ", ".join(filter(has_forget_gate, cells.CELLS))
                raise UsageError(
                    f"forget_cells={name}: has no forget gate; those that have: {known}"
                )
        for name in ("cells", "forget_cells"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise UsageError(f"{name}={getattr(self, name)}: must name each cell once")
        if not self.cells:
            raise UsageError("cells=(): must name at least one cell")
        for name in ("forget_biases", "forget_radii"):
            values = getattr(self, name)
            if not values or list(values) != sorted(set(values)):
                raise UsageError(f"{name}={values}: must be at least one value, increasing")
        for name, least in {"hidden": 1, "length": 4, "batch": 1, "seeds": 1}.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least {least}")
        if not 0 < self.radius < math.inf:
            raise UsageError(f"radius={self.radius}: must be positive and finite")
        for name in ("input_scale", "forget_input_scale"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name}={getattr(self, name)}: must be finite and at least 0")
        if not all(0 <= radius < math.inf for radius in self.forget_radii):
            raise UsageError(f"forget_radii={self.forget_radii}: must be finite and at least 0")
        if not all(map(math.isfinite, self.forget_biases)):
            raise UsageError(f"forget_biases={self.forget_biases}: must be finite")
        if self.init not in initializers.INITIALIZERS:
            raise registry.unknown(
                f"init={self.init}", "initialiser", self.init, initializers.INITIALIZERS
            )
        if self.dtype not in ("float32", "float64"):
            raise UsageError(f"dtype={self.dtype}: must be float64 or float32")


def has_forget_gate(name: str) -> bool:
    """Whether the cell has a forget gate before a carousel, or one that its input gate implies."""
    parts = leaf_names(cells.by_name(name, 1).initial_state())
    return "forget_bias" in cells.settings_of(name) and "c" in parts and name != "lstm_nfg"


def run(config: Config, workdir: Workdir) -> None:
    """Measures what is not there yet, and writes pictures, report and tables."""
    jobs: dict[str, Callable[[], xr.Dataset]] = {
        f"cell-{name}": partial(measure_cell, config, name) for name in config.cells
    } | {
        f"forget-{name}": partial(measure_forgetting, config, name) for name in config.forget_cells
    }
    data = results.measured(workdir, "gradient_profiles", jobs, partial(combine, config))
    report = Report("How far back a loss is felt")
    report_profiles(config, workdir, data, report)
    if config.forget_cells:
        report_forgetting(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def make_cell(config: Config, name: str) -> Any:
    """The cell, its recurrent blocks drawn by the initialiser and rescaled to the radius."""
    init = initializers.Rescaled(initializers.by_name(config.init), config.radius)
    return cells.by_name(name, config.hidden, wh_init=init)


def draw(config: Config, cell: Any) -> tuple[Any, Array]:
    """Parameters, and inputs `[S, T, B, H]` that add noise of unit variance to every gate."""
    keys = jax.random.split(jax.random.key(config.seed), (2, config.seeds))
    params = jax.vmap(lambda key: cell.init(key, config.hidden, config.dtype))(keys[0])
    shape = (config.length, config.batch, config.hidden)
    return params, jax.vmap(lambda key: jax.random.normal(key, shape, config.dtype))(keys[1])


@partial(jax.jit, static_argnums=0)
def profiles(cell: Any, params: Any, xs: Array) -> dict[str, Array]:
    """`log10 ‖∂L/∂s_t‖ [S, T+1, B]` of the joint state and of its parts h and c; one program."""

    def measure(params: Any, xs: Array) -> dict[str, Array]:
        names = leaf_names(cell.initial_state())
        parts = tuple(name for name in ("h", "c") if name in names)
        measured = adjoint_profile(cell, params, xs, parts=parts)
        return {"joint": measured.log10_joint, **measured.log10_parts}

    return jax.vmap(measure)(params, xs)


def measure_cell(config: Config, name: str) -> xr.Dataset:
    """The profiles of one cell: the mean of the logarithm over the batch, for every seed."""
    cell = make_cell(config, name)
    params, xs = draw(config, cell)
    measured = profiles(cell, params, jnp.asarray(config.input_scale, config.dtype) * xs)
    missing = np.full((config.seeds, config.length + 1), np.nan)
    logs = [np.asarray(measured[p]).mean(-1) if p in measured else missing for p in PARTS]
    start = np.median(logs[0][:, 0])
    return xr.Dataset(
        {"log10_norm": (("part", "seed", "steps_before_loss"), np.stack(logs)[..., ::-1])},
        attrs={"numbers": f"{name} log10‖∂L/∂s_0‖={start:.1f}"},
    )


def measure_forgetting(config: Config, name: str) -> xr.Dataset:
    """Growth of the gradient by c per step, for every radius, forget bias and seed."""
    cell = make_cell(config, name)
    params, xs = draw(config, cell)
    scale = partial(jnp.asarray, dtype=config.dtype)
    xs = scale(config.forget_input_scale) * xs[:, :, :1]  # one sequence for each network
    growth = np.empty((len(config.forget_radii), len(config.forget_biases), config.seeds))
    for place in np.ndindex(growth.shape[:2]):
        radius, bias = config.forget_radii[place[0]], config.forget_biases[place[1]]
        changed = params | {"b": set_forget_bias(cell, params["b"], bias)}
        for matrix in {"wh", "wg"} & params.keys():
            changed[matrix] = scale(radius / config.radius) * params[matrix]
        log10_c = np.asarray(profiles(cell, changed, xs)["c"]).mean(-1)[:, ::-1]
        growth[place] = growth_per_step(log10_c)
    return xr.Dataset(
        {"forget_growth": (("forget_radius", "forget_bias", "seed"), growth)},
        attrs={"numbers": f"forget bias of {name}"},
    )


def set_forget_bias(cell: Any, b: Array, bias: float) -> Array:
    """Biases `b [S, kH]` with another forget bias; where only an input gate is, 1 − σ(b_i)."""
    block, value = ("f", bias) if "f" in cell.blocks else ("i", -bias)
    return jax.vmap(lambda each: set_block(cell, each, block, value))(b)


def growth_per_step(log10_norm: np.ndarray) -> np.ndarray:
    """Slope `[...]` of `log10_norm [..., T+1]` against the steps before the loss, decades per step.

    Least squares over the half that is farther from the loss, where the first steps' transient is
    over. NaN where a gradient is exactly zero there.
    """
    far = log10_norm[..., log10_norm.shape[-1] // 2 :]
    centred = np.arange(far.shape[-1]) - (far.shape[-1] - 1) / 2
    with np.errstate(invalid="ignore"):  # 0 times −inf where a gradient is exactly zero
        slope = np.sum(centred * far, axis=-1) / np.sum(centred**2)
    return np.where(np.all(np.isfinite(far), axis=-1), slope, np.nan)


def combine(config: Config, parts: dict[str, xr.Dataset]) -> xr.Dataset:
    """One labelled data set of both measurements, with the theory beside them."""
    data = xr.Dataset(
        {
            "log10_norm": (
                ("cell", "part", "seed", "steps_before_loss"),
                np.stack([parts[f"cell-{name}"].log10_norm for name in config.cells]),
                {"long_name": "log10 ‖∂L/∂s_t‖, mean over the batch", "units": "decades"},
            )
        },
        coords={
            "cell": list(config.cells),
            "part": list(PARTS),
            "seed": np.arange(config.seeds),
            "steps_before_loss": np.arange(config.length + 1),
        },
        attrs={"title": "Gradient of the loss with respect to the state, backwards in time"},
    )
    data["growth"] = (
        ("cell", "part", "seed"),
        growth_per_step(data.log10_norm.to_numpy()),
        {"long_name": "slope of log10_norm, far from the loss", "units": "decades per step"},
    )
    if config.forget_cells:
        growth = [parts[f"forget-{name}"].forget_growth for name in config.forget_cells]
        data = data.assign_coords(
            forget_cell=list(config.forget_cells),
            forget_radius=list(config.forget_radii),
            forget_bias=list(config.forget_biases),
        )
        data["forget_growth"] = (
            ("forget_cell", "forget_radius", "forget_bias", "seed"),
            np.stack(growth),
            {"long_name": "growth of ‖∂L/∂c_t‖ per step back", "units": "decades per step"},
        )
        data["forget_theory"] = (
            "forget_bias",
            theory.forget_time_constant(config.forget_biases),
            {"long_name": "−1 / ln σ(forget bias)", "units": "steps"},
        )
    return data


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


def report_profiles(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
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


def report_forgetting(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
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
