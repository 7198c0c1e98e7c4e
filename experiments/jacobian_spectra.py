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

from experiments import _jacobian_spectra_report
from experiments._jacobian_spectra_law import kolmogorov_smirnov
from experiments._jacobian_spectra_report import KINDS, ORTHOGONAL, POWER, PRODUCT
from rnnlab import cells, initializers
from rnnlab.cells import HiddenState
from rnnlab.errors import UsageError
from rnnlab.gradients import state_jacobian, theory
from rnnlab.run import registry, results
from rnnlab.run.workdir import Workdir
from rnnlab.unroll import unroll

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
    _jacobian_spectra_report.write(config, workdir, data)


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
