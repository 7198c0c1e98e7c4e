"""Which singular values has the product of many Jacobians, and when is random-matrix theory right?

Histograms of the singular values σ of ∂s_T/∂s_0 at several T, pooled over networks, as
(1/T) log10 σ, growth in decades per step. Three cases have a theory:

- linear network with orthogonal recurrent matrix: all singular values are gain^T, a point;
- product of T independent Gaussian matrices: for width N -> infinity at fixed T the law of σ² is
  Fuss-Catalan (`rnnlab.gradients.theory.fuss_catalan_log10_density`);
- linear network with a Gaussian matrix: the *powers* of one matrix. They have the same limit at
  fixed T, although the factors are equal, but reach it more slowly.

At finite N both leave the law as T grows: the powers follow ρ(wh)^T, which a single eigenvalue
decides, the independent products the gaps between their Lyapunov exponents. How far T may go is
measured for several widths. The tanh RNN, the LSTM and the GRU, driven by noise and started from a
typical state, are measured without a theory.

Source: Saxe, McClelland and Ganguli 2014 (orthogonal); Penson and Życzkowski 2011 (products);
Alexeev, Götze and Tikhomirov 2010 (powers); Pennington, Schoenholz and Ganguli 2017 (spectra).
Command: python run.py --experiment=jacobian_spectra --config.widths=32,256
Expected: at N = 128 the distribution function of the product differs from the theory by less than
0.01 up to T = 64; that of the powers by 0.01 up to T = 8, and by 0.02 at T = 64, where their
largest singular value is two to three times the edge of the law. Takes about 50 s on two cores.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.typing import DTypeLike
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from rnnlab import cells, initializers, plots, registry, results
from rnnlab.cells import HiddenState
from rnnlab.errors import UsageError
from rnnlab.gradients import state_jacobian, theory
from rnnlab.report import Report
from rnnlab.tables import print_table
from rnnlab.unroll import unroll
from rnnlab.workdir import Workdir

#: The linear cases by the name that titles their panels.
ORTHOGONAL, PRODUCT, POWER = "orthogonal", "Gaussian product", "Gaussian power"
KINDS = (PRODUCT, POWER)

#: Steps that bring a driven network to a typical state before the Jacobian is measured.
WARM_UP = 100


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    #: Numbers of steps T, each at least 1.
    lengths: tuple[int, ...] = (1, 2, 4, 8, 16, 64)
    #: Width N of the networks in the histograms.
    hidden: int = 64
    #: Widths at which products and powers are compared with the theory.
    widths: tuple[int, ...] = (32, 64, 128)
    #: Cells measured without a theory; empty for none.
    cells: tuple[str, ...] = ("tanh", "lstm", "gru")
    #: Networks for each case.
    seeds: int = 10
    #: Gain of every recurrent matrix, above 0; those of the cells are orthogonal.
    gain: float = 1.0
    #: Standard deviation of what the input adds to each gate of the cells, at least 0.
    input_scale: float = 0.5
    #: Floating type: float64 or float32.
    dtype: str = "float64"
    #: Seed of all networks and inputs.
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("lengths", "widths"):
            if min(getattr(self, name), default=0) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be integers of at least 1")
            if sorted(set(getattr(self, name))) != list(getattr(self, name)):
                raise UsageError(f"{name}={getattr(self, name)}: must increase")
        for name in ("hidden", "seeds"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least 1")
        for name in self.cells:
            if name not in cells.CELLS:
                raise registry.unknown(f"cells={name}", "cell", name, cells.CELLS)
        if len(set(self.cells)) < len(self.cells):
            raise UsageError(f"cells={self.cells}: must name each cell once")
        if not 0 < self.gain < math.inf:
            raise UsageError(f"gain={self.gain}: must be positive and finite")
        if not 0 <= self.input_scale < math.inf:
            raise UsageError(f"input_scale={self.input_scale}: must be finite and at least 0")
        if self.dtype not in ("float32", "float64"):
            raise UsageError(f"dtype={self.dtype}: must be float64 or float32")


@dataclasses.dataclass(frozen=True)
class MatrixProduct(cells.Cell):
    """`h' = h @ W_t`: a linear network whose matrix is its input, `x_t [H * H]`; no parameters."""

    def init(
        self, key: Array, features_in: int, dtype: DTypeLike = jnp.float32
    ) -> dict[str, Array]:
        """Draws nothing."""
        del key, features_in, dtype
        return {}

    def project(self, params: dict[str, Array], x: Array) -> Array:
        """`W_t [..., H, H]`."""
        return x.reshape(*x.shape[:-1], self.hidden, self.hidden)

    def step(
        self, params: dict[str, Array], u: Array, state: HiddenState
    ) -> tuple[HiddenState, Array]:
        """One factor more."""
        h = jnp.einsum("...i,...ij->...j", state.h, u)
        return HiddenState(h), h


def run(config: Config, workdir: Workdir) -> None:
    """Measures what is not there yet, and writes pictures, report and tables."""
    jobs: dict[str, Callable[[], xr.Dataset]] = {
        "orthogonal": partial(measure_linear, config, ORTHOGONAL, config.hidden)
    }
    for width in sorted({config.hidden, *config.widths}):
        jobs[f"product-{width}"] = partial(measure_linear, config, PRODUCT, width)
        jobs[f"power-{width}"] = partial(measure_linear, config, POWER, width)
    jobs |= {f"cell-{name}": partial(measure_cell, config, name) for name in config.cells}
    data = results.measured(workdir, "jacobian_spectra", jobs, partial(combine, config))
    report = Report("Singular values of products of Jacobians")
    report_histograms(config, workdir, data, report)
    report_validity(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def measure_linear(config: Config, kind: str, width: int) -> xr.Dataset:
    """`log10 σ` of linear networks: one orthogonal or Gaussian matrix, or independent ones."""
    init = initializers.by_name("orthogonal" if kind == ORTHOGONAL else "gaussian", config.gain)
    cell = MatrixProduct(width) if kind == PRODUCT else cells.Elman(width, activation="identity")
    measure = partial(_log10_sigma, cell, config.lengths)
    longest, state = config.lengths[-1], cell.initial_state((), config.dtype)

    def one(key: Array) -> Array:
        if kind == PRODUCT:
            factors = init(key, (longest * width, width), config.dtype) * math.sqrt(longest)
            return measure({}, factors.reshape(longest, width**2), state)
        params = {
            "wx": jnp.zeros((1, width), config.dtype),
            "wh": init(key, (width, width), config.dtype),
            "b": jnp.zeros((width,), config.dtype),
        }
        return measure(params, jnp.zeros((longest, 1), config.dtype), state)

    return _pool(f"{kind} N={width}", [one(key) for key in _keys(config, width)])


def measure_cell(config: Config, name: str) -> xr.Dataset:
    """`log10 σ` of the joint state of a nonlinear cell driven by Gaussian noise."""
    init = initializers.Orthogonal(config.gain)
    cell = cells.by_name(name, config.hidden, wh_init=init)
    steps = WARM_UP + config.lengths[-1]

    warm_up = jax.jit(partial(unroll, cell))

    def one(key: Array) -> Array:
        key_params, key_inputs = jax.random.split(key)
        params = cell.init(key_params, config.hidden, config.dtype)
        xs = config.input_scale * jax.random.normal(
            key_inputs, (steps, config.hidden), config.dtype
        )
        state, _ = warm_up(params, xs[:WARM_UP])
        return _log10_sigma(cell, config.lengths, params, xs[WARM_UP:], state)

    return _pool(name, [one(key) for key in _keys(config, config.hidden)])


def _log10_sigma(cell: Any, lengths: tuple[int, ...], params: Any, xs: Array, state: Any) -> Array:
    """`log10 σ [n, m]` of ∂s_T/∂s_0, descending."""
    return state_jacobian(cell, params, xs, state, lengths=lengths).log10_singular_values


def _keys(config: Config, width: int) -> Iterator[Array]:
    key = jax.random.fold_in(jax.random.key(config.seed), width)
    return iter(jax.random.split(key, config.seeds))


def _pool(name: str, networks: list[Array]) -> xr.Dataset:
    values = np.stack([np.asarray(network) for network in networks])
    numbers = f"{name} largest log10 σ={np.median(values[:, -1, 0]):.2f} at the last T"
    return xr.Dataset(
        {"log10_sigma": (("seed", "length", "index"), values)}, attrs={"numbers": numbers}
    )


def combine(config: Config, parts: dict[str, xr.Dataset]) -> xr.Dataset:
    """One labelled data set: the histograms' values, and the widths' distance from theory."""
    cases = {
        ORTHOGONAL: parts["orthogonal"],
        PRODUCT: parts[f"product-{config.hidden}"],
        POWER: parts[f"power-{config.hidden}"],
        **{name: parts[f"cell-{name}"] for name in config.cells},
    }
    linear = [
        [parts[f"{kind}-{width}"].log10_sigma for width in config.widths]
        for kind in ("product", "power")
    ]
    shape = (len(KINDS), len(config.widths), len(config.lengths))
    distance, largest = np.empty(shape), np.empty((*shape, config.seeds))
    for place in np.ndindex(shape):
        values = linear[place[0]][place[1]].isel(length=place[2])
        distance[place] = kolmogorov_smirnov(
            values.to_numpy().ravel(), config.lengths[place[2]], config.gain
        )
        largest[place] = values.isel(index=0)
    size = max(case.sizes["index"] for case in cases.values())
    sigma = [case.log10_sigma.pad(index=(0, size - case.sizes["index"])) for case in cases.values()]
    edge = theory.fuss_catalan_edge(config.lengths)
    decades = {"units": "decades"}
    return xr.Dataset(
        {
            "log10_sigma": (
                ("case", "seed", "length", "index"),
                np.stack(sigma),
                {"long_name": "log10 of the singular values of ∂s_T/∂s_0, descending"} | decades,
            ),
            "distance": (
                ("kind", "width", "length"),
                distance,
                {"long_name": "largest difference of the distribution functions of log10 σ"},
            ),
            "log10_sigma_max": (
                ("kind", "width", "length", "seed"),
                largest,
                {"long_name": "log10 of the largest singular value"} | decades,
            ),
            "log10_edge": (
                "length",
                0.5 * np.log10(edge) + np.asarray(config.lengths) * math.log10(config.gain),
                {"long_name": "upper edge of the Fuss-Catalan law"} | decades,
            ),
        },
        coords={
            "case": list(cases),
            "kind": list(KINDS),
            "width": list(config.widths),
            "seed": np.arange(config.seeds),
            "length": ("length", list(config.lengths), {"long_name": "T", "units": "steps"}),
        },
        attrs={"title": "Singular values of products of Jacobians"},
    )


def kolmogorov_smirnov(log10_sigma: np.ndarray, length: int, gain: float) -> float:
    """Largest difference of the distribution function of samples and of the Fuss-Catalan law."""
    ordered = np.sort(log10_sigma)
    law = fuss_catalan_distribution(ordered, length, gain)
    above = np.arange(1, len(ordered) + 1) / len(ordered) - law
    return float(max(above.max(), 1 / len(ordered) - above.min()))


def fuss_catalan_distribution(log10_sigma: np.ndarray, length: int, gain: float) -> np.ndarray:
    """Probability that log10 σ of `length` factors lies below each value.

    The density is integrated by the trapezoid rule down from the edge, where its square root asks
    for points that crowd there; it falls as 10^(2u/(T+1)) for small u.
    """
    edge = 0.5 * np.log10(theory.fuss_catalan_edge(length)) + length * math.log10(gain)
    u = edge - 8 * (length + 1) * np.linspace(1, 0, 4001) ** 3
    density = theory.fuss_catalan_log10_density(u, length, gain)
    below = np.concatenate([[0], np.cumsum(np.diff(u) * (density[1:] + density[:-1]) / 2)])
    return np.interp(log10_sigma, u, below)


def case_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each case and T: quantiles of the pooled log10 σ."""
    rows = []
    for case in data.case.to_numpy():
        for length in data.length.to_numpy():
            values = data.log10_sigma.sel(case=case, length=length).to_numpy()
            values = values[~np.isnan(values)]
            low, median, high = np.quantile(values, [0.05, 0.5, 0.95], method="nearest")
            rows.append(
                {
                    "case": case,
                    "T": int(length),
                    "5 %": float(low),
                    "median": float(median),
                    "95 %": float(high),
                    "largest": float(values.max()),
                    "exact zeros": int(np.isneginf(values).sum()),
                }
            )
    return rows


def validity_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each kind, width and T: how far from Fuss-Catalan."""
    return [
        {
            "kind": kind,
            "N": int(width),
            "T": int(length),
            "distance": float(data.distance.sel(kind=kind, width=width, length=length)),
            "median log10 σ_max": float(
                data.log10_sigma_max.sel(kind=kind, width=width, length=length).median()
            ),
            "edge": float(data.log10_edge.sel(length=length)),
        }
        for kind in data.kind.to_numpy()
        for width in data.width.to_numpy()
        for length in data.length.to_numpy()
    ]


def report_histograms(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The histograms: text, picture and table."""
    with plots.style():
        picture = plots.save(draw_histograms(config, data), workdir.path("histograms.png"))
    spread = float(
        abs(
            data.log10_sigma.sel(case=ORTHOGONAL).isel(index=slice(0, config.hidden))
            - data.length * math.log10(config.gain)
        ).max()
    )
    report.text(
        "The singular values of ∂s_T/∂s_0 say how much each direction of the state at time 0 is "
        "still felt at time T, and with it the gradient that flows back along it. Power: the "
        "linear network with one Gaussian matrix, applied T times. Product: T independent ones. "
        f"The singular values of the orthogonal network are gain^T to within {spread:.1e} decades."
    )
    report.figure(
        picture,
        caption=f"Density of (1/T) log10 σ, pooled over {config.seeds} networks of width "
        f"{config.hidden}, a row for each T. Black: theory, a point for orthogonal matrices, "
        "Fuss–Catalan for products and for powers of Gaussian ones. The nonlinear cells have "
        f"orthogonal recurrent blocks and an input of standard deviation {config.input_scale:g} to "
        "each gate; those with a cell state c are measured in the joint state (h, c).",
        alt="Gaussian products follow Fuss-Catalan; gated cells keep a share of directions near 0.",
    )
    rows = case_rows(data)
    report.table(rows, caption="Quantiles of log10 σ in decades, pooled over the networks.")
    print_table(rows, title="log10 σ of ∂s_T/∂s_0")


def report_validity(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """Where the theory ends: text, picture and table."""
    with plots.style():
        picture = plots.save(draw_validity(data), workdir.path("validity.png"))
    report.heading("Where Fuss–Catalan holds")
    report.text(
        "The law is exact for infinite width at fixed T. At finite width the powers of one matrix "
        "leave it earlier than products of independent ones, first at the largest singular value, "
        "which comes to follow the spectral radius of the one matrix."
    )
    report.figure(
        picture,
        caption="Left: largest difference between the distribution functions of the pooled log10 σ "
        "and of the Fuss–Catalan law. Right: median and quartiles over "
        f"{config.seeds} networks of log10 σ_max, minus the edge of the law. Circles and solid "
        "lines: independent products; squares and dashed lines: powers of one matrix, the same as "
        "the first factor of the product; dotted: T = √N.",
        alt="The distance from the law grows with T and shrinks with the width.",
    )
    rows = validity_rows(data)
    report.table(rows, caption="Distance from the law, and the largest singular value in decades.")
    print_table(rows, title="distance from Fuss-Catalan")


def draw_histograms(config: Config, data: xr.Dataset) -> Figure:
    """A row of panels for each T, a column for each case."""
    cases, lengths = data.case.to_numpy(), data.length.to_numpy()
    figure, axes = plots.subplots(
        len(lengths),
        len(cases),
        width=1.8 * len(cases),
        height=1.25 * len(lengths) + 0.8,
        sharex="col",
    )
    for column, case in zip(axes.T, cases, strict=True):
        values = data.log10_sigma.sel(case=case).transpose("length", ...)
        rates = (values / data.length).to_numpy().reshape(len(lengths), -1)
        finite = rates[np.isfinite(rates)]  # exact zeros are counted in the table
        low, high = (np.quantile(finite, 0.005), finite.max()) if finite.size else (-1, 0)
        margin = max(0.05 * (high - low), 0.1)
        bins = np.linspace(low - margin, high + margin, 42)  # odd bins: a point sits within one
        for ax, length, rate in zip(column, lengths, rates, strict=True):
            shown = rate[np.isfinite(rate)]
            each = np.full(shown.shape, 1 / (max(shown.size, 1) * (bins[1] - bins[0])))
            ax.hist(shown, bins, weights=each, color=plots.COLORS[5], edgecolor="none")
            _draw_law(ax, case, int(length), config.gain, bins)
            ax.set(yticks=[], xlim=(bins[0], bins[-1]))
            ax.spines["left"].set_visible(False)
        column[0].set_title(case, fontsize=10)
    for ax, length in zip(axes[:, 0], lengths, strict=True):
        ax.set_ylabel(f"T = {length}", rotation=0, ha="right", va="center")
    figure.supxlabel("(1/T) log10 σ (decades per step)", fontsize=10)
    return figure


def _draw_law(ax: Axes, case: str, length: int, gain: float, bins: np.ndarray) -> None:
    """The theory of a panel, in the variable v = u/T: its density is T p(T v)."""
    if case == ORTHOGONAL:
        point = theory.log10_singular_values_orthogonal(gain, length) / length
        ax.axvline(float(point), color="black", linestyle="--", linewidth=1)
    elif case in KINDS:
        v = np.linspace(bins[0], bins[-1], 400)
        density = length * theory.fuss_catalan_log10_density(length * v, length, gain)
        ax.plot(v, density, color="black", linestyle="-", linewidth=1)


def draw_validity(data: xr.Dataset) -> Figure:
    """Distance from the law, and excess of the largest singular value over its edge, against T."""
    figure, axes = plots.subplots(1, 2, width=10, height=3.6)
    lengths = data.length.to_numpy()
    for color, width in zip(plots.COLORS, data.width.to_numpy(), strict=False):
        for kind, marker, linestyle in ((PRODUCT, "o", "-"), (POWER, "s", "--")):
            here = data.sel(kind=kind, width=width)
            look = {"color": color, "marker": marker, "linestyle": linestyle, "markersize": 4}
            label = f"{kind}, N = {width}"
            axes[0, 0].plot(lengths, here.distance, label=label, **look)
            excess = (here.log10_sigma_max - data.log10_edge).transpose("seed", "length")
            plots.quantile_band(axes[0, 1], lengths, excess, label, **look)
        for ax in axes[0]:
            ax.axvline(math.sqrt(width), color=color, linestyle=":", linewidth=1)
    axes[0, 1].axhline(0, color="#999999", linewidth=0.8)
    axes[0, 0].set(yscale="log", ylabel="distance from Fuss–Catalan")
    axes[0, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0, 0].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for ax in axes[0]:
        ax.set(xscale="log", xlabel="steps T", xticks=lengths, xticklabels=lengths)
        ax.minorticks_off()
    axes[0, 1].set(ylabel="log10 σ_max − edge (decades)")
    labelled = axes[0, 0].get_legend_handles_labels()
    figure.legend(*labelled, loc="outside right center", fontsize=8)
    return figure
