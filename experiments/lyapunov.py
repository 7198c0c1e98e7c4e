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

from experiments import _lyapunov_report
from rnnlab import cells, initializers
from rnnlab.errors import UsageError
from rnnlab.gradients import lyapunov_exponents, recurrent_matrices, theory
from rnnlab.run import registry, results
from rnnlab.run.workdir import Workdir

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
    _lyapunov_report.write(config, workdir, data)


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
