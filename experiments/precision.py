"""Where does each way of computing a gradient norm stop being right?

The same networks, and log10 ‖∂L/∂s_0‖ for a loss L = Σ_k y_k / √H at the last step, in four ways:

    naive        `jax.grad` of `rnnlab.unroll`, then the norm, in float32 and in float64;
    log-domain   `rnnlab.gradients.adjoint_profile`, in float32 and in float64.

A norm squares its entries, so in float32 it loses entries below 1e-19 and overflows above 1e19
long before the gradient itself does (1e-38, 3e38); in float64 at 1e-154 and 1e154. What is right is
known exactly for the linear network with wh = ρ Q, Q orthogonal, which is always measured beside
`cells`: log10 ‖∂L/∂h_0‖ = T log10 ρ. Elsewhere the float64 log-domain value is the reference.

Where a network is chaotic there is no right value of a single trajectory: rounding, in float32 or
in float64, is a perturbation that grows as the gradient does, until the trajectory is another one.
No way of computing the norm mends that. What stays is the distribution over seeds, which is shown
for `chaotic_radius`, with a third computation: float64 from an h_0 changed in its last bit.

Sources: Bengio, Simard and Frasconi 1994, "Learning long-term dependencies with gradient descent is
difficult" (gradients are exponential in T); Engelken, Wolf and Abbott 2023, "Lyapunov spectra of
chaotic recurrent neural networks" (and so are perturbations).

Command: python run.py --experiment=precision --config.cells=tanh,lstm,gru
Expected (defaults): on the linear network naive float32 is right up to T = 50 at ρ = 0.5, 300 at
0.9 and 1.1, 100 at 1.5, naive float64 up to 500, 3000, 700, and the log domain up to 10,000, within
2e-4 (float32) and 1e-11 decades (float64). The median seed of the chaotic network is off by 0.1
decades at T = 70 in float32, and at T = 200 in float64 if the last bit of h_0 changes. Takes less
than a minute.
"""

import dataclasses
import itertools
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.typing import DTypeLike
from matplotlib.figure import Figure

from rnnlab import cells, initializers, plots, results
from rnnlab.cells import Cell
from rnnlab.errors import UsageError
from rnnlab.gradients import adjoint_profile
from rnnlab.gradients.theory import log10_singular_values_orthogonal
from rnnlab.initializers import Blocks, Orthogonal, Rescaled
from rnnlab.report import Report
from rnnlab.tables import print_table
from rnnlab.unroll import unroll
from rnnlab.workdir import Workdir

WAYS = ("float32 naive", "float64 naive", "float32 log-domain", "float64 log-domain")
#: The network whose gradient is known exactly.
CONTROL = "linear orthogonal"
MARKERS: dict[str, dict[str, Any]] = {
    "float32 naive": {"marker": "o", "markersize": 3.5},
    "float64 naive": {"marker": "o", "markersize": 7, "fillstyle": "none"},
    "float32 log-domain": {"marker": "+", "markersize": 6},
}
#: Errors are drawn between these; the lower one stands for no error at all.
FLOOR, CEILING = 1e-17, 30.0
#: In what the chaotic networks are computed, and how that is drawn.
ROUNDINGS: dict[str, dict[str, Any]] = {
    "float32": {"color": "#D55E00", "linestyle": "-"},
    "float64": {"color": "#000000", "linestyle": "--"},
    "float64, last bit of h_0 changed": {"color": "#0072B2", "linestyle": ":"},
}


@dataclasses.dataclass(frozen=True)
class Config:
    """The networks, and the lengths at which they are measured."""

    #: Cells, beside the linear orthogonal network.
    cells: tuple[str, ...] = ("tanh",)
    #: How the recurrent matrix of each gate of `cells` is drawn, before it is rescaled to a radius.
    init: str = "gaussian"
    #: Spectral radii of the recurrent matrices, each above 0.
    radii: tuple[float, ...] = (0.5, 0.9, 1.0, 1.1, 1.5)
    #: Lengths T in steps.
    lengths: tuple[int, ...] = (
        1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700,
        1000, 1500, 2000, 3000, 5000, 7000, 10000,
    )  # fmt: skip
    #: Hidden units H.
    hidden: int = 32
    #: Networks at each radius.
    seeds: int = 3
    #: Standard deviation of the Gaussian inputs of `cells`; 0 for none.
    input_scale: float = 0.0
    #: Error of log10 ‖∂L/∂s_0‖, in decades, above which a value counts as wrong.
    tolerance: float = 0.1
    #: Spectral radius at which the first of `cells` is to be chaotic.
    chaotic_radius: float = 3.0
    #: Networks at that radius.
    chaotic_seeds: int = 64
    #: Longest of `lengths` at that radius.
    chaotic_length: int = 1000

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("cells", "radii", "lengths"):
            if not getattr(self, name):
                raise UsageError(f"{name}=(): must hold at least one")
        for name in self.cells:
            cells.by_name(name, 1)
        initializers.by_name(self.init)
        for name in ("hidden", "seeds", "chaotic_seeds", "chaotic_length"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least 1")
        if min(self.lengths) < 1 or list(self.lengths) != sorted(set(self.lengths)):
            raise UsageError(f"lengths={self.lengths}: must increase, from 1 on")
        if self.lengths[0] > self.chaotic_length:
            raise UsageError(
                f"chaotic_length={self.chaotic_length}: must not be below the least of lengths, "
                f"{self.lengths[0]}"
            )
        for name in ("radii", "tolerance", "chaotic_radius"):
            if not all(0 < value < math.inf for value in np.ravel(getattr(self, name))):
                raise UsageError(f"{name}={getattr(self, name)}: must be positive and finite")
        for name in ("cells", "radii"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise UsageError(f"{name}={getattr(self, name)}: must differ from each other")
        if not 0 <= self.input_scale < math.inf:
            raise UsageError(f"input_scale={self.input_scale}: must be finite, at least 0")

    @property
    def networks(self) -> tuple[str, ...]:
        """The linear orthogonal network, and `cells`."""
        return (CONTROL, *self.cells)


def run(config: Config, workdir: Workdir) -> None:
    """Measures all networks in all ways, and writes results, pictures, report."""
    points = {
        f"{network.replace(' ', '-')}-radius-{radius}": partial(measure, config, network, radius)
        for network in config.networks
        for radius in config.radii
    }
    jobs = {**points, "chaos": partial(measure_chaos, config)}
    data = results.measured(workdir, "precision", jobs, partial(combine, config))
    with plots.style():
        plots.save(draw_values(config, data), workdir.path("values.png"))
        plots.save(draw_errors(config, data), workdir.path("errors.png"))
        plots.save(draw_chaos(config, data), workdir.path("chaos.png"))
    write_report(config, workdir, data)
    print_table(table_of_lengths(config, data), title=lengths_title(config))
    print_table(table_of_failures(config, data), title="Values, and what is wrong with them")
    print_table(table_of_chaos(data), title=chaos_title(config))


@partial(jax.jit, static_argnums=(0, 1))
def naive(cell: Cell, lengths: tuple[int, ...], params: Any, xs: Array, state: Any) -> Array:
    """log10 of the norm that `jax.grad` of `unroll` has for each length, `[len(lengths)]`.

    The L lengths are rows of one batch, which holds a few arrays `[T, L, H]`; `xs [T, D]` and
    `state`, its leaves `[H]`, are those of all.
    """
    xs, state, weights = _rows(cell, lengths, xs, state)

    def loss(state: Any) -> Array:
        _, ys = unroll(cell, params, xs, state, lengths=np.array(lengths))
        return jnp.sum(weights * ys)

    gradient = jnp.concatenate(jax.tree.leaves(jax.grad(loss)(state)), axis=-1)
    return jnp.log10(jnp.linalg.norm(gradient, axis=-1))


@partial(jax.jit, static_argnums=(0, 1))
def log_domain(cell: Cell, lengths: tuple[int, ...], params: Any, xs: Array, state: Any) -> Array:
    """The same number for each length from `adjoint_profile`; arguments as for `naive`."""
    xs, state, weights = _rows(cell, lengths, xs, state)
    return adjoint_profile(cell, params, xs, state, loss=weights, parts=()).log10_joint[0]


def _rows(cell: Cell, lengths: tuple[int, ...], xs: Array, state: Any) -> tuple[Array, Any, Array]:
    """Inputs `[T, L, D]`, states `[L, H]`, and `∂L/∂y [T, L, H]`: 1/√H at the end of each row."""
    rows = len(lengths)
    state = jax.tree.map(lambda a: jnp.broadcast_to(a, (rows, *a.shape)), state)
    last = np.arange(xs.shape[0])[:, None] == np.array(lengths) - 1
    weight = jnp.asarray(cell.features_out**-0.5, xs.dtype)
    weights = jnp.where(last[..., None], weight, jnp.zeros_like(weight))
    weights = jnp.broadcast_to(weights, (*last.shape, cell.features_out))
    return jnp.broadcast_to(xs[:, None], (*last.shape, xs.shape[-1])), state, weights


def draw_network(config: Config, network: str, radius: float, seed: int) -> tuple[Any, ...]:
    """The cell, its parameters, inputs `[T, 1]` and state `[H]`, drawn in float64.

    The linear orthogonal network rests at zero: its gradient depends on neither state nor input.
    """
    keys = jax.random.split(jax.random.key(seed), 3)
    name, base = network, initializers.by_name(config.init)
    if network == CONTROL:
        name, base = "linear", Orthogonal()
    draft = cells.by_name(name, config.hidden, wh_init=Rescaled(Blocks(base), radius))
    params = draft.init(keys[0], 1, jnp.float64)
    state = draft.initial_state((), jnp.float64)
    xs = jnp.zeros((config.lengths[-1], 1), jnp.float64)
    if network != CONTROL:
        xs = config.input_scale * jax.random.normal(keys[1], xs.shape, xs.dtype)
        leaves, tree = jax.tree.flatten(state)
        drawn = [
            jax.random.uniform(key, leaf.shape, leaf.dtype, -1, 1)
            for key, leaf in zip(jax.random.split(keys[2], len(leaves)), leaves, strict=True)
        ]
        state = jax.tree.unflatten(tree, drawn)
    # A cell without the initialiser in it: equal for all radii, so that it compiles once.
    return cells.by_name(name, config.hidden), params, xs, state


def measure(config: Config, network: str, radius: float) -> xr.Dataset:
    """`log10_norm [seed, way, length]` at one radius."""
    values = [
        measure_network(config.lengths, *draw_network(config, network, radius, seed))
        for seed in range(config.seeds)
    ]
    coords = {"way": list(WAYS), "length": list(config.lengths)}
    note = {"long_name": "log10 ‖∂L/∂s_0‖"}
    data = xr.Dataset({"log10_norm": (("seed", "way", "length"), np.stack(values), note)}, coords)
    return data.assign_coords(network=network, radius=radius)


def combine(config: Config, parts: dict[str, xr.Dataset]) -> xr.Dataset:
    """`log10_norm [network, radius, seed, way, length]`, and the chaotic networks."""
    *points, chaos = parts.values()
    size = len(config.radii)
    rows = [
        xr.concat(points[start : start + size], "radius") for start in range(0, len(points), size)
    ]
    return xr.concat(rows, "network").merge(chaos)


def measure_network(
    lengths: tuple[int, ...], cell: Cell, params: Any, xs: Array, state: Any
) -> np.ndarray:
    """The numbers of one network, `[way, length]`; float32 gets it rounded to float32."""
    rows = []
    for way in WAYS:
        dtype, _, kind = way.partition(" ")
        arguments = _cast((params, xs, state), dtype)
        rows.append((naive if kind == "naive" else log_domain)(cell, lengths, *arguments))
    return np.stack([np.asarray(row, np.float64) for row in rows])


def measure_chaos(config: Config) -> xr.Dataset:
    """`chaos_log10_norm [chaos_seed, rounding, chaos_length]`, in the log domain."""
    lengths = tuple(length for length in config.lengths if length <= config.chaotic_length)
    values = np.empty((config.chaotic_seeds, len(ROUNDINGS), len(lengths)))
    for seed in range(config.chaotic_seeds):
        cell, params, xs, state = draw_network(config, config.cells[0], config.chaotic_radius, seed)
        xs = xs[: lengths[-1]]
        nudged = jax.tree.map(lambda a: a * (1 + np.finfo(np.float64).eps), state)
        for row, (dtype, start) in enumerate(
            (("float32", state), ("float64", state), ("float64", nudged))
        ):
            arguments = _cast((params, xs, start), dtype)
            values[seed, row] = np.asarray(log_domain(cell, lengths, *arguments))
    dims = ("chaos_seed", "rounding", "chaos_length")
    coords = {"rounding": list(ROUNDINGS), "chaos_length": list(lengths)}
    return xr.Dataset({"chaos_log10_norm": (dims, values)}, coords)


def reference(data: xr.Dataset) -> xr.DataArray:
    """What is right, `[network, radius, seed, length]`: theory where exact, else float64."""
    theory = xr.DataArray(
        log10_singular_values_orthogonal(data.radius.values[:, None], data.length.values),
        dims=("radius", "length"),
    )
    best = data.log10_norm.sel(way=WAYS[-1], drop=True)
    return best.where(data.network != CONTROL, theory)


def errors(data: xr.Dataset) -> xr.DataArray:
    """Absolute error in decades, like `log10_norm`; inf where 0, inf or nan was returned."""
    error = abs(data.log10_norm - reference(data))
    return error.where(np.isfinite(data.log10_norm), np.inf)


def right_up_to(error: xr.DataArray, tolerance: float) -> xr.DataArray:
    """The longest length before the first with an error above the tolerance; 0 if there is none."""
    right = (error <= tolerance).cumprod("length").astype(bool)
    return error.length.where(right, 0).max("length")


def table_of_lengths(config: Config, data: xr.Dataset) -> list[dict[str, Any]]:
    """For each network and radius: up to which length each method is right in every seed."""
    longest = right_up_to(errors(data), config.tolerance).min("seed")
    right = reference(data).isel(length=-1).median("seed")
    return [
        {
            "network": network,
            "ρ": radius,
            f"log10 ‖∂L/∂s_0‖ at T={config.lengths[-1]}": right.sel(here).item(),
            **{way: int(longest.sel(here).sel(way=way)) for way in WAYS},
        }
        for network in config.networks
        for radius in config.radii
        for here in [{"network": network, "radius": radius}]
    ]


def table_of_failures(config: Config, data: xr.Dataset) -> list[dict[str, Any]]:
    """For each network and method: how many values are right, and how the others are wrong."""
    rows = []
    for network in config.networks:
        for way in WAYS:
            value = data.log10_norm.sel(network=network, way=way).values
            error = errors(data).sel(network=network, way=way).values
            finite = np.isfinite(value)
            rows.append(
                {
                    "network": network,
                    "way": way,
                    "values": value.size,
                    "right": int(np.sum(error <= config.tolerance)),
                    "0": int(np.sum(np.isneginf(value))),
                    "inf or nan": int(np.sum(np.isnan(value) | np.isposinf(value))),
                    "finite and wrong": int(np.sum(finite & (error > config.tolerance))),
                    "largest finite error": float(error[finite].max(initial=0)),
                }
            )
    return rows


def table_of_chaos(data: xr.Dataset) -> list[dict[str, Any]]:
    """Quantiles over seeds at the longest chaotic length, and the distance from float64."""
    last = data.chaos_log10_norm.isel(chaos_length=-1)
    distance = abs(last - last.sel(rounding="float64"))
    return [
        {
            "computed in": rounding,
            **{
                f"{percent} %": last.sel(rounding=rounding).quantile(percent / 100).item()
                for percent in (10, 25, 50, 75, 90)
            },
            "median distance of a seed": distance.sel(rounding=rounding).median().item(),
        }
        for rounding in ROUNDINGS
    ]


def draw_values(config: Config, data: xr.Dataset) -> Figure:
    """What each way returns for the first network of each radius, and the limits of a norm."""
    columns = min(len(config.networks), 3)
    rows = math.ceil(len(config.networks) / columns)
    size = {"width": 0.5 + 4.7 * columns, "height": 1 + 3.8 * rows}
    figure, axes = plots.subplots(rows, columns, sharex=True, sharey=True, **size)
    for ax, network in zip(axes.flat, config.networks, strict=False):
        for radius, look in zip(config.radii, _looks(config), strict=True):
            here = data.log10_norm.sel(network=network, radius=radius).isel(seed=0)
            here = here.where(np.isfinite(here))
            ax.semilogx(here.length, here.sel(way=WAYS[3]), label=f"ρ = {radius:g}", **look)
            for way, marker in MARKERS.items():
                ax.plot(here.length, here.sel(way=way), color="black", linestyle="", **marker)
        for way, marker in MARKERS.items():
            ax.plot([], [], color="black", linestyle="", label=way, **marker)
        for dtype, dash in (("float32", ":"), ("float64", "--")):
            look = {"color": "#888888", "linestyle": dash, "linewidth": 1}
            for limit in (np.finfo(dtype).tiny, np.finfo(dtype).max):
                ax.axhline(math.log10(limit) / 2, **look)
            ax.plot([], [], label=f"squares leave {dtype}", **look)
        ax.set_yscale("symlog", linthresh=10)
        ax.set(xlabel="length T", ylabel="log10 ‖∂L/∂s_0‖", title=network)
        ax.label_outer()
    for ax in axes.flat[len(config.networks) :]:
        ax.set_visible(False)
    entries = axes[0, 0].get_legend_handles_labels()
    title = f"coloured lines: {WAYS[3]}"
    figure.legend(*entries, loc="outside lower center", ncols=5, title=title)
    return figure


def draw_errors(config: Config, data: xr.Dataset) -> Figure:
    """The error of each way against the length, for each network."""
    error = errors(data).median("seed")
    rows = len(config.networks)
    figure, axes = plots.subplots(
        rows, len(WAYS), width=12, height=0.6 + 2.5 * rows, sharex=True, sharey=True
    )
    for (row, network), (column, way) in itertools.product(
        enumerate(config.networks), enumerate(WAYS)
    ):
        ax = axes[row, column]
        for radius, look in zip(config.radii, _looks(config), strict=True):
            values = error.sel(network=network, way=way, radius=radius)
            finite = values.where(np.isfinite(values))
            ax.loglog(values.length, np.maximum(finite, FLOOR), label=f"ρ = {radius:g}", **look)
            lost = values.length[~np.isfinite(values)]
            if lost.size:
                ax.plot(lost[0], CEILING, "x", color=look["color"], markersize=7, clip_on=False)
        ax.axhline(config.tolerance, color="black", linestyle=":", linewidth=1, label="tolerance")
        ax.plot([], [], "x", color="#888888", label="from here on 0, inf or nan")
        if row == 0:
            ax.set_title(way)
        if row == rows - 1:
            ax.set_xlabel("length T")
        if network != CONTROL and way == WAYS[3]:
            ax.text(0.5, 0.5, "the reference", transform=ax.transAxes, ha="center", color="#555555")
    for ax, network in zip(axes[:, 0], config.networks, strict=True):
        ax.set_ylabel(f"{network}\nerror in decades")
        ax.set_ylim(FLOOR, CEILING)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7)
    return figure


def _looks(config: Config) -> list[dict[str, Any]]:
    """A colour and a dash for each radius."""
    dashes = itertools.cycle(("-", "--", "-."))
    return [
        {"color": color, "linestyle": dash, "linewidth": 1.3}
        for _, color, dash in zip(config.radii, itertools.cycle(plots.COLORS[:5]), dashes)
    ]


def draw_chaos(config: Config, data: xr.Dataset) -> Figure:
    """One trajectory and the distribution over seeds, in float32 and in float64."""
    figure, axes = plots.subplots(1, 3, width=12, height=4.2)
    one, band, share = axes[0]
    value = data.chaos_log10_norm
    length = value.chaos_length
    distance = np.maximum(abs(value - value.sel(rounding="float64")), FLOOR)
    one.axhline(config.tolerance, color="black", linestyle=":", linewidth=1)
    for rounding, look in ROUNDINGS.items():
        here = {"rounding": rounding}
        if rounding != "float64":
            plots.quantile_band(one, length, distance.sel(here), rounding, **look)
        plots.quantile_band(band, length, value.sel(here), rounding, **look)
        share.ecdf(value.sel(here).isel(chaos_length=-1), label=rounding, **look)
    one.set(xscale="log", yscale="log", xlabel="length T", ylabel="distance from float64, decades")
    one.set_title("value of one seed")
    band.set(xscale="log", xlabel="length T", ylabel="log10 ‖∂L/∂s_0‖")
    band.set_title("quartiles over seeds")
    share.set(xlabel="log10 ‖∂L/∂s_0‖", ylabel="share of seeds below")
    share.set_title(f"all seeds at T = {int(length[-1])}")
    figure.legend(*share.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def write_report(config: Config, workdir: Workdir, data: xr.Dataset) -> None:
    """Writes `report.html`."""
    report = Report("Where a gradient norm stops being right")
    report.text(
        "The norm of the gradient of a loss at step T with respect to the state before the first "
        "step, of the same networks, computed in four ways. Naive: automatic differentiation, then "
        "the norm. Log-domain: the adjoint is renormalised at every step and its scale kept as an "
        "exponent. A norm squares its entries, so it fails at the square root of the limits of the "
        "type: near 1e−19 and 1e19 in float32, 1e−154 and 1e154 in float64."
    )
    report.figure(
        workdir.path("values.png"),
        caption=f"log10 of the norm for the first of {config.seeds} networks with H = "
        f"{config.hidden} at each radius. A missing marker is a 0, an inf or a nan.",
        alt="Markers of the naive ways end where squares leave the range of the type.",
    )
    report.table(table_of_lengths(config, data), caption=lengths_title(config))
    report.text(
        f"What is right is known exactly for the {CONTROL} network, T log10 ρ. For the others it "
        "is the float64 log-domain value, which cannot show its own rounding. Where float32 is "
        "wrong in the log domain too, it is the trajectory that differs: see the last section."
    )
    report.figure(
        workdir.path("errors.png"),
        caption=f"Absolute error in decades, median of {config.seeds} networks; errors below "
        f"{FLOOR:g} are drawn there. A cross: from here on the median is 0, inf or nan.",
        alt="Naive errors stay small until the value is lost; log-domain errors stay small.",
    )
    report.table(
        table_of_failures(config, data),
        caption=f"All values; wrong is an error above {config.tolerance:g} decades.",
    )
    report.heading("One trajectory of a chaotic network")
    report.text(
        "In a chaotic network rounding changes the trajectory itself, in float64 too, only later. "
        "No way of computing the norm mends this: beyond the length at which a curve on the left "
        "rises to the tolerance, the value of one seed is one of many equally right ones. What can "
        "be compared is the distribution over seeds, which float32 changes no more than the last "
        "bit of h_0 does."
    )
    report.figure(
        workdir.path("chaos.png"),
        caption=f"{config.chaotic_seeds} {config.cells[0]} networks with H = {config.hidden} and "
        f"ρ = {config.chaotic_radius:g}, log-domain. Left: distance of a seed's value from the one "
        "in float64, median and quartiles; dotted line: the tolerance. Middle: median and "
        "quartiles of the value. Right: its distribution over seeds.",
        alt="Trajectories separate, and the distributions over seeds agree.",
    )
    report.table(table_of_chaos(data), caption=chaos_title(config))
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def lengths_title(config: Config) -> str:
    """Of the table of lengths."""
    return (
        f"Longest T up to which all {config.seeds} networks are right within "
        f"{config.tolerance:g} decades, of the lengths {config.lengths[0]} to {config.lengths[-1]}"
    )


def chaos_title(config: Config) -> str:
    """Of the table of the chaotic networks."""
    longest = max(length for length in config.lengths if length <= config.chaotic_length)
    return (
        f"log10 ‖∂L/∂s_0‖ at T = {longest} of {config.chaotic_seeds} {config.cells[0]} networks "
        f"with ρ = {config.chaotic_radius:g}: quantiles over seeds"
    )


def _cast(tree: Any, dtype: DTypeLike) -> Any:
    return jax.tree.map(lambda a: a.astype(dtype), tree)
