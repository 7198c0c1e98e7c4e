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
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.typing import DTypeLike

from experiments import _precision_report
from experiments._precision_errors import CONTROL, WAYS
from experiments._precision_report import ROUNDINGS
from rnnlab import cells, initializers
from rnnlab.cells import Cell
from rnnlab.errors import UsageError
from rnnlab.gradients import adjoint_profile
from rnnlab.initializers import Blocks, Orthogonal, Rescaled
from rnnlab.run import results
from rnnlab.run.workdir import Workdir
from rnnlab.unroll import unroll


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
    _precision_report.write(config, workdir, data)


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


def _cast(tree: Any, dtype: DTypeLike) -> Any:
    return jax.tree.map(lambda a: a.astype(dtype), tree)
