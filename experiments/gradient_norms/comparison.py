"""What the sweep measured of each cell, beside what theory says of it.

Everything is a function of the measured spectral radius: the mean over the recurrent matrices of a
cell and over the seeds.
"""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from experiments.gradient_norms.config import GENERATED_INPUTS
from rnnlab import cells
from rnnlab.cells import Elman
from rnnlab.gradients import theory

#: log10 of the smallest normal and of the largest float32.
FLOAT32_FLOOR = math.log10(np.finfo(np.float32).tiny)
FLOAT32_TOP = math.log10(np.finfo(np.float32).max)

#: The theories by what they say of log10 ‖∂L/∂s_0‖, and their growth rates.
RADIUS, BOUND, MEAN_FIELD = "T log10 ρ", "bound T log10(γ σ_max)", "mean field T λ / ln 10"
RATES = {RADIUS: "log10 ρ", BOUND: "log10(γ σ_max)", MEAN_FIELD: "mean field, λ / ln 10"}
NAMES = {"tanh": "tanh RNN", "relu": "ReLU RNN", "sigmoid": "sigmoid RNN", "linear": "linear RNN"}
NAMES |= {"lstm": "LSTM", "gru": "GRU"}


@dataclasses.dataclass(frozen=True)
class Measured:
    """One cell of a sweep: `R` radii, ascending, `S` seeds, `N` lengths.

    Attributes:
        cell: its name, in a table.
        name: its name, in a heading.
        radius: measured spectral radius ρ, mean over matrices and seeds, `[R]`.
        sigma_max: measured largest singular value, likewise.
        gain: gain for mean field: as set, or ρ where that is what the sweep sets, `[R]`.
        input_std: measured standard deviation of `x @ wx`, mean over seeds.
        lengths: T, `[N]`.
        state: log10 ‖∂L/∂s_0‖, mean over the batch, `[S, R, N]`.
        weights: log10 ‖∂L/∂wh‖, `[S, R, N]`.
        activation: of a simple network, else None.
        mean_field_applies: whether mean field describes weights and state.
    """

    cell: str
    name: str
    radius: np.ndarray
    sigma_max: np.ndarray
    gain: np.ndarray
    input_std: float
    lengths: np.ndarray
    state: np.ndarray
    weights: np.ndarray
    activation: str | None
    mean_field_applies: bool

    @property
    def growth(self) -> np.ndarray:
        """log10 ‖∂L/∂s_0‖ / T, `[S, R, N]`; nan where the gradient is exactly zero."""
        return finite(self.state) / self.lengths

    @property
    def bound_is_radius(self) -> bool:
        """Whether γ σ_max = ρ, so that bound and T log10 ρ are one line."""
        if self.activation is None:
            return False
        return np.allclose(theory.MAX_SLOPES[self.activation] * self.sigma_max, self.radius)

    def theories(self, radius: np.ndarray) -> dict[str, np.ndarray]:
        """What theory says of log10 ‖∂L/∂s_0‖ per step, at spectral radii `[M]` within the sweep.

        Only what applies: bound and mean field are those of simple networks.
        """
        rates = {RADIUS: theory.log10_radius(radius, 1)}
        if self.activation and not self.bound_is_radius:
            sigma_max = np.interp(radius, self.radius, self.sigma_max)
            rates[BOUND] = theory.log10_bound(sigma_max, 1, self.activation)
        if self.activation and self.mean_field_applies:
            gain = np.interp(radius, self.radius, self.gain)
            exponent = theory.mean_field_exponent(gain, self.input_std, self.activation)
            rates[MEAN_FIELD] = exponent / math.log(10)
        return rates


def each_cell(data: xr.Dataset) -> Iterator[Measured]:
    """The cells of a sweep over one initialiser, hidden size and input, at each hyperparameter."""
    scale = "radius" if "radius" in data.dims else "gain"
    data = data.isel(init=0, hidden=0, inputs=0, input_scale=0).sortby(scale)
    varied = json.loads(data.attrs["settings"])["hyperparameters"]
    for cell in map(str, data.cell.values):
        own = {n: v for n, v in varied.items() if n in cells.hyperparameters_of(cell)}
        for values in itertools.product(*own.values()):
            settings = dict(zip(own, values, strict=True))
            where = {name: settings.get(name, varied[name][0]) for name in varied}
            yield _measured(data.sel(cell=cell, **where), scale, cell, settings)


def _measured(one: xr.Dataset, scale: str, cell: str, settings: dict[str, Any]) -> Measured:
    """One cell with some hyperparameters."""
    one = one.transpose("seed", scale, ...)
    made = cells.by_name(cell, 1, **settings)
    activation = made.activation if type(made) is Elman else None
    input_std = float(one.input_std.mean())
    # Without input these networks stay at h = 0, where they are linear: no mean field.
    silent = input_std == 0 and activation != "sigmoid"
    radius = one.spectral_radius.mean(("gate", "seed")).values
    varied = "".join(f", {name} = {value:g}" for name, value in settings.items())
    return Measured(
        cell=cell + varied.replace(" = ", "="),
        name=NAMES.get(cell, cell) + varied.replace("_", " "),
        radius=radius,
        sigma_max=one.sigma_max.mean(("gate", "seed")).values,
        gain=radius if scale == "radius" else one.gain.values,
        input_std=input_std,
        lengths=one.length.values,
        state=one.log10_grad_state.values,
        weights=one.log10_grad_wh.values,
        activation=activation,
        mean_field_applies=not silent
        and one.init.item() in theory.MEAN_FIELD_INITIALIZERS
        and one.inputs.item() in GENERATED_INPUTS,
    )


def finite(values: np.ndarray) -> np.ndarray:
    """Values with nan in place of -inf, the logarithm of a gradient that is exactly zero."""
    return np.where(np.isfinite(values), values, np.nan)
