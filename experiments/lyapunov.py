"""Where does a random network become chaotic, and which directions does a cell keep alive?

Two measurements of Lyapunov exponents, in nats per step.

Largest exponent of `h_t = tanh(h_{t-1} wh + u_t)`, `wh` with entries N(0, gain²/N), u_t white with
standard deviation `input_std` for every unit, against the gain and the width N. The curve beside it
is mean field, N -> infinity (`rnnlab.gradients.theory.mean_field`). Without input and in the
ordered regime the state comes to rest, and the exponent is ln ρ(wh) of that very matrix, which
exceeds ln gain at finite N; in the chaotic regime the exponent lies below the curve by O(1/N).

Whole spectra of the tanh RNN, the LSTM and the GRU, driven by the same kind of input, all recurrent
blocks Gaussian with the gain, forget bias 1; and how the largest exponent settles over T. The joint
state of the LSTM, (h, c), has 2N directions.

Source: Sompolinsky, Crisanti and Sommers 1988; Molgedey, Schuchhardt and Schuster 1992 (mean field
in discrete time, with input); Engelken, Wolf and Abbott 2023 (spectra of recurrent networks).
Command: python run.py --experiment=lyapunov --config.widths=64,512
Expected: at gain 2 without input 0.148 ± 0.002 at N = 256, where mean field has 0.155; the critical
gain is 1 without input and 1.55 with input_std 0.5. Takes about 45 s on two cores.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from rnnlab import cells, initializers, plots, registry, results
from rnnlab.errors import UsageError
from rnnlab.gradients import lyapunov_exponents, recurrent_matrices, theory
from rnnlab.report import Report
from rnnlab.tables import print_table
from rnnlab.workdir import Workdir

#: Points at which the running estimate is read.
RECORDS = 30

#: Parameters, inputs and first states of several networks, their number leading.
Networks = tuple[Any, Array, Any]


@dataclasses.dataclass(frozen=True)
class Config:
    """Both measurements."""

    #: Gains of the Gaussian recurrent matrix of the tanh network, each above 0.
    gains: tuple[float, ...] = (0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
    #: Widths N of the tanh network.
    widths: tuple[int, ...] = (32, 64, 128, 256)
    #: Standard deviations of the input u_t of the tanh network, each at least 0.
    input_stds: tuple[float, ...] = (0.0, 0.5)
    #: Networks for each point, at least 2, for there is a standard error.
    seeds: int = 10
    #: Steps of each trajectory.
    steps: int = 500
    #: First steps, which bring state and tangents onto the attractor and do not count.
    discard: int = 100
    #: Cells whose whole spectrum is measured; empty for none.
    spectrum_cells: tuple[str, ...] = ("tanh", "lstm", "gru")
    #: Gains of every recurrent block of these cells, each above 0.
    spectrum_gains: tuple[float, ...] = (0.8, 2.0, 4.0)
    #: Their width N.
    spectrum_hidden: int = 64
    #: Standard deviation of the input to each of their gates, at least 0.
    spectrum_input_std: float = 0.5
    #: Networks for each cell and gain, at least 2.
    spectrum_seeds: int = 4
    #: Steps of their trajectories, above `discard`.
    spectrum_steps: int = 500
    #: Floating type: float64 or float32.
    dtype: str = "float64"
    #: Seed of all networks and inputs.
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every field."""
        for name in ("gains", "widths", "input_stds", "spectrum_gains"):
            values = getattr(self, name)
            if not values or list(values) != sorted(set(values)):
                raise UsageError(f"{name}={values}: must be at least one value, increasing")
        for name in ("gains", "spectrum_gains"):
            if not all(0 < gain < math.inf for gain in getattr(self, name)):
                raise UsageError(f"{name}={getattr(self, name)}: must be positive and finite")
        for name, values in (
            ("input_stds", self.input_stds),
            ("spectrum_input_std", (self.spectrum_input_std,)),
        ):
            if not all(0 <= value < math.inf for value in values):
                raise UsageError(f"{name}={getattr(self, name)}: must be finite and at least 0")
        for name, least in {"seeds": 2, "spectrum_seeds": 2, "spectrum_hidden": 1}.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least {least}")
        if min(self.widths) < 1:
            raise UsageError(f"widths={self.widths}: must be positive integers")
        for name in ("steps", "spectrum_steps"):
            if not 0 <= self.discard < getattr(self, name):
                raise UsageError(
                    f"discard={self.discard}: must lie in 0..{getattr(self, name) - 1}, "
                    f"below {name}={getattr(self, name)}"
                )
        for name in self.spectrum_cells:
            if name not in cells.CELLS:
                raise registry.unknown(f"spectrum_cells={name}", "cell", name, cells.CELLS)
        if len(set(self.spectrum_cells)) < len(self.spectrum_cells):
            raise UsageError(f"spectrum_cells={self.spectrum_cells}: must name each cell once")
        if self.dtype not in ("float32", "float64"):
            raise UsageError(f"dtype={self.dtype}: must be float64 or float32")


def run(config: Config, workdir: Workdir) -> None:
    """Measures what is not there yet, and writes pictures, report and table."""
    jobs: dict[str, Callable[[], xr.Dataset]] = {
        f"width-{width}": partial(measure_width, config, width) for width in config.widths
    } | {
        f"spectrum-{cell}": partial(measure_spectrum, config, cell)
        for cell in config.spectrum_cells
    }
    data = results.measured(workdir, "lyapunov", jobs, partial(combine, config))
    report = Report("Lyapunov exponents of random recurrent networks")
    report_exponents(config, workdir, data, report)
    if config.spectrum_cells:
        report_spectra(config, workdir, data, report)
    report.settings(workdir)
    report.write(workdir.path("report.html"))


def measure_width(config: Config, width: int) -> xr.Dataset:
    """Largest exponent of tanh networks of one width, for every input, gain and seed."""
    cell = cells.Elman(width, wx_init=initializers.Identity(), wh_init=initializers.Gaussian())
    networks = _draw(config, cell, config.seeds, config.steps)
    measure = _over_networks(config, cell, config.gains, (config.steps,), count=1)
    exponents = np.stack([measure(networks, std)[-1, ..., 0] for std in config.input_stds])
    radius = recurrent_matrices(cell, networks[0])["h"].spectral_radius
    return xr.Dataset(
        {
            "exponent": (("input_std", "seed", "gain"), exponents),
            "log_radius": ("seed", np.log(radius)),
        },
        attrs={"numbers": f"N={width} λ={exponents.mean((0, 1))[-1]:.4f} at the last gain"},
    )


def measure_spectrum(config: Config, name: str) -> xr.Dataset:
    """Whole spectrum of one cell for every gain and seed, and the running largest exponent."""
    cell = cells.by_name(name, config.spectrum_hidden, wh_init=initializers.Gaussian())
    networks = _draw(config, cell, config.spectrum_seeds, config.spectrum_steps)
    records = _records(config.spectrum_steps, config.discard)
    measure = _over_networks(config, cell, config.spectrum_gains, records)
    running = measure(networks, config.spectrum_input_std)
    return xr.Dataset(
        {
            "spectrum": (("spectrum_seed", "spectrum_gain", "index"), running[-1]),
            "running": (("step", "spectrum_seed", "spectrum_gain"), running[..., 0]),
        },
        attrs={"numbers": f"{name} λ1={running[-1, ..., 0].mean(0)[-1]:.4f} at the last gain"},
    )


def _draw(config: Config, cell: Any, seeds: int, steps: int) -> Networks:
    """Parameters, inputs of unit variance `[S, T, N]` and random first states of the networks."""
    key = jax.random.fold_in(jax.random.key(config.seed), cell.hidden)
    keys = jax.random.split(key, (seeds, 2))
    params = jax.vmap(lambda key: cell.init(key, cell.hidden, config.dtype))(keys[:, 0])
    shape = (steps + 1, cell.hidden)
    noise = jax.vmap(lambda key: jax.random.normal(key, shape, config.dtype))(keys[:, 1])
    states = cell.initial_state((seeds,), config.dtype)._replace(h=noise[:, 0])
    return params, noise[:, 1:], states


def _over_networks(
    config: Config,
    cell: Any,
    gains: tuple[float, ...],
    records: tuple[int, ...],
    count: int | None = None,
) -> Callable[[Networks, float], np.ndarray]:
    """`(networks, input_std) -> [n, S, G, k]`, the running estimates at the records."""

    def measure(network: Networks, gain: Array, input_std: Array) -> Array:
        params, xs, state = network
        if "wh" in params:
            params = params | {"wh": gain * params["wh"]}
        measured = lyapunov_exponents(
            cell,
            params,
            input_std * xs,
            state,
            count=count,
            discard=config.discard,
            records=records,
        )
        return measured.running

    over_gains = jax.vmap(measure, in_axes=(None, 0, None), out_axes=1)
    over_both = jax.jit(jax.vmap(over_gains, in_axes=(0, None, None), out_axes=1))
    return lambda networks, input_std: np.asarray(
        over_both(networks, jnp.asarray(gains, config.dtype), jnp.asarray(input_std, config.dtype))
    )


def _records(steps: int, discard: int) -> tuple[int, ...]:
    """Where the running estimate is read, logarithmically spaced after `discard`."""
    after = np.geomspace(1, steps - discard, RECORDS).round().astype(int)
    return tuple(int(step) + discard for step in np.unique(after))


def combine(config: Config, parts: dict[str, xr.Dataset]) -> xr.Dataset:
    """One labelled data set of everything, with the theory beside what it predicts."""
    widths = [parts[f"width-{width}"] for width in config.widths]
    data = _stack(widths, "width", config.widths).assign_coords(
        input_std=list(config.input_stds), gain=list(config.gains), seed=np.arange(config.seeds)
    )
    grid = np.meshgrid(config.gains, config.input_stds)
    data["mean_field"] = ("input_std", "gain"), theory.mean_field_exponent(*grid)
    data["critical_gain"] = "input_std", theory.critical_gain(config.input_stds)
    meanings = {
        "exponent": ("largest Lyapunov exponent of the tanh network", "nats per step"),
        "log_radius": ("ln ρ of the recurrent matrix at gain 1", "nats"),
        "mean_field": ("largest exponent, mean field at infinite width", "nats per step"),
        "critical_gain": ("gain at which the mean-field exponent is zero", "1"),
    }
    if config.spectrum_cells:
        spectra = [parts[f"spectrum-{cell}"] for cell in config.spectrum_cells]
        data = data.merge(_stack(spectra, "cell", config.spectrum_cells)).assign_coords(
            spectrum_gain=list(config.spectrum_gains),
            step=list(_records(config.spectrum_steps, config.discard)),
        )
        meanings["spectrum"] = ("all exponents of the joint state, descending", "nats per step")
        meanings["running"] = ("largest exponent over steps discard..step", "nats per step")
    for name, (meaning, units) in meanings.items():
        data[name].attrs = {"long_name": meaning, "units": units}
    data.attrs = {"title": "Lyapunov exponents of random recurrent networks"}
    return data


def _stack(parts: list[xr.Dataset], axis: str, labels: tuple[Any, ...]) -> xr.Dataset:
    """Parts along a new axis; the shorter ones are filled with NaN."""
    size = max(part.sizes.get("index", 0) for part in parts)
    padded = [
        part.pad(index=(0, size - part.sizes["index"])) if "index" in part.sizes else part
        for part in parts
    ]
    stacked = xr.concat(padded, dim=axis, coords="minimal", compat="override", join="exact")
    return stacked.assign_coords({axis: list(labels)}).drop_attrs()


def standard_error(samples: xr.DataArray, axis: str) -> xr.DataArray:
    """Standard error of the mean over the networks."""
    return samples.std(axis, ddof=1) / math.sqrt(samples.sizes[axis])


def exponent_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each input and gain: theory, and mean ± standard error for each width."""
    mean, error = data.exponent.mean("seed"), standard_error(data.exponent, "seed")
    return [
        {"input std": float(std), "gain": float(gain)}
        | {"mean field": f"{float(data.mean_field.loc[std, gain]):+.4f}"}
        | {f"N={int(width)}": _plus_minus(mean, error, width, std, gain) for width in data.width}
        for std in data.input_std
        for gain in data.gain
    ]


def _plus_minus(mean: xr.DataArray, error: xr.DataArray, width: Any, std: Any, gain: Any) -> str:
    point = {"width": width, "input_std": std, "gain": gain}
    return f"{float(mean.sel(point)):+.4f} ± {float(error.sel(point)):.4f}"


def spectrum_rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """A row for each cell and gain: median and ends of the spectrum, and how much is positive."""
    rows = []
    for cell in data.cell.to_numpy():
        for gain in data.spectrum_gain.to_numpy():
            spectrum = data.spectrum.sel(cell=cell, spectrum_gain=gain).dropna("index")
            first = spectrum.isel(index=0)
            error = standard_error(first, "spectrum_seed")
            rows.append(
                {
                    "cell": cell,
                    "gain": float(gain),
                    "largest": f"{float(first.mean()):+.4f} ± {float(error):.4f}",
                    "median": float(spectrum.median()),
                    "smallest": float(spectrum.isel(index=-1).mean()),
                    "positive": float((spectrum > 0).sum("index").mean()),
                    "directions": spectrum.sizes["index"],
                }
            )
    return rows


def report_exponents(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The first measurement: picture, text and table."""
    with plots.style():
        picture = plots.save(draw_exponents(data), workdir.path("exponents.png"))
    report.text(
        "The largest Lyapunov exponent λ is the mean growth of a generic small perturbation, in "
        "nats per step. Gradients vanish on average where it is negative and explode where it is "
        "positive. Mean field predicts it for infinite width; every network has a finite one."
    )
    report.figure(
        picture,
        caption=f"Top: largest exponent of random tanh networks, mean and standard error over "
        f"{config.seeds} networks, against the gain; black: mean field; dotted: its critical gain. "
        "Bottom: the distance from mean field. Dashed, without input and below gain 1: ln ρ(wh) − "
        "ln gain of the same matrices, which is what a network at rest must have. At gain 1 and "
        f"without input the state has not come to rest after {config.steps} steps.",
        alt="Measured exponents approach the mean-field curve as the width grows.",
    )
    rows = exponent_rows(data)
    report.table(rows, caption="Largest exponent, nats per step, mean ± standard error.")
    print_table(rows, title="largest Lyapunov exponent of tanh networks, nats per step")


def report_spectra(config: Config, workdir: Workdir, data: xr.Dataset, report: Report) -> None:
    """The second measurement: picture, text and table."""
    with plots.style():
        picture = plots.save(draw_spectra(config, data), workdir.path("spectra.png"))
    report.heading("Whole spectra")
    report.figure(
        picture,
        caption=f"Top: Lyapunov spectra at width N = {config.spectrum_hidden}, mean over "
        f"{config.spectrum_seeds} networks, band from the least to the largest, on an axis that is "
        "linear between −1 and 1; a cross marks the mean-field value of the largest exponent. "
        "Exponents of the LSTM belong to the joint state (h, c). Input of standard deviation "
        f"{config.spectrum_input_std:g} to every gate. Bottom: the largest exponent over the steps "
        "so far, median and quartiles.",
        alt="Gated cells keep many directions near zero; those of the tanh network decay faster.",
    )
    rows = spectrum_rows(data)
    report.table(
        rows,
        caption="Exponents in nats per step; `positive` counts expanding directions, on average.",
    )
    print_table(rows, title="Lyapunov spectra, nats per step")


def draw_exponents(data: xr.Dataset) -> Figure:
    """Exponent against gain, and below it the distance from mean field; a column per input."""
    figure, axes = plots.subplots(
        2, data.sizes["input_std"], width=9, height=6.4, sharex=True, sharey="row"
    )
    for (top, bottom), std in zip(axes.T, data.input_std.to_numpy(), strict=True):
        here = data.sel(input_std=std)
        fine = np.linspace(float(data.gain.min()), float(data.gain.max()), 200)
        top.plot(fine, theory.mean_field_exponent(fine, std), color="black", label="mean field")
        for ax in (top, bottom):
            ax.axhline(0, color="#999999", linewidth=0.8)
            ax.axvline(float(here.critical_gain), color="black", linestyle=":", linewidth=1)
        for color, width in zip(plots.COLORS, data.width.to_numpy(), strict=False):
            _draw_width(top, bottom, here.sel(width=width), color, resting=std == 0)
        critical = f"critical gain {float(here.critical_gain):.3g}"
        top.set(title=f"input std {std:g}, {critical}" if std else f"no input, {critical}")
        bottom.set(xlabel="gain")
    axes[0, 0].set_ylabel("largest exponent λ (nats per step)")
    axes[1, 0].set_ylabel("λ − mean field (nats per step)")
    axes[0, -1].legend()
    if axes[1, 0].get_legend_handles_labels()[0]:
        axes[1, 0].legend()
    return figure


def _draw_width(top: Axes, bottom: Axes, data: xr.Dataset, color: str, resting: bool) -> None:
    """Points of one width; where the network comes to rest, also what its matrix says."""
    mean, error = data.exponent.mean("seed"), standard_error(data.exponent, "seed")
    style = {"color": color, "linestyle": "", "marker": "o", "markersize": 4, "capsize": 2}
    top.errorbar(data.gain, mean, error, label=f"N = {int(data.width)}", **style)
    style |= {"linestyle": "-", "linewidth": 0.8}
    bottom.errorbar(data.gain, mean - data.mean_field, error, **style)
    if resting:
        below = data.gain.to_numpy()[data.gain.to_numpy() < 1]
        excess = np.full(below.shape, float(data.log_radius.mean()))
        label = "ln ρ(wh) − ln gain" if color == plots.COLORS[0] else ""
        bottom.plot(
            below, excess, color=color, linestyle="--", linewidth=2.5, alpha=0.5, label=label
        )


def draw_spectra(config: Config, data: xr.Dataset) -> Figure:
    """Spectrum of each cell, and below it the convergence of its largest exponent."""
    names = data.cell.to_numpy()
    figure, axes = plots.subplots(2, len(names), width=9, height=6, sharey="row")
    for (top, bottom), name in zip(axes.T, names, strict=True):
        for color, gain in zip(plots.COLORS, data.spectrum_gain.to_numpy(), strict=False):
            here = data.sel(cell=name, spectrum_gain=gain)
            spectrum = here.spectrum.dropna("index").transpose("spectrum_seed", "index").to_numpy()
            place = (np.arange(spectrum.shape[1]) + 0.5) / config.spectrum_hidden
            look = {"color": color, "linestyle": "-"}
            top.plot(place, spectrum.mean(0), label=f"gain {gain:g}", **look)
            top.fill_between(place, spectrum.min(0), spectrum.max(0), color=color, alpha=0.2)
            if name == "tanh":
                value = theory.mean_field_exponent(gain, config.spectrum_input_std)
                top.plot(0, value, marker="x", color=color, markeredgewidth=2, clip_on=False)
            elapsed = here.step.to_numpy() - config.discard
            running = here.running.transpose("spectrum_seed", "step").to_numpy()
            plots.quantile_band(bottom, elapsed, running, f"gain {gain:g}", **look)
        for ax in (top, bottom):
            ax.axhline(0, color="#999999", linewidth=0.8)
        top.set_yscale("symlog", linthresh=1)
        top.yaxis.set_major_formatter(ScalarFormatter())
        top.set(title=name, xlabel="index / N")
        bottom.set(xlabel="steps T", xscale="log")
    axes[0, 0].set_ylabel("exponent λ_i (nats per step)")
    axes[1, 0].set_ylabel("running λ_1 (nats per step)")
    axes[0, 0].legend()
    return figure
