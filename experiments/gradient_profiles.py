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
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from experiments import _gradient_profiles_report
from experiments._gradient_profiles_report import PARTS
from rnnlab import cells, initializers
from rnnlab.cells.base import set_block
from rnnlab.errors import UsageError
from rnnlab.gradients import adjoint_profile, theory
from rnnlab.gradients.parts import leaf_names
from rnnlab.run import registry, results
from rnnlab.run.workdir import Workdir


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
    _gradient_profiles_report.write(config, workdir, data)


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
