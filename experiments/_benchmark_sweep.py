"""The sweep against a loop over its points in JAX and in PyTorch."""

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnlab import sweep
from rnnlab.cells import Elman
from rnnlab.errors import RunError
from rnnlab.run.progress import Progress
from rnnlab.sweep.grid import Grid
from rnnlab.unroll import unroll

#: Norms `[points, lengths, 2]`: the geometric mean over the batch of ‖∂L/∂h_0‖, and ‖∂L/∂wh‖.
Norms = np.ndarray

#: Largest difference in log10 at which two candidates agree, in float32. Chaotic points differ by
#: more, see `compare`.
AGREE = 0.01


def run(config: Any) -> dict[str, list[dict[str, Any]]]:
    """Times every width; returns tables by title."""
    grids = [(hidden, config.lengths) for hidden in config.hidden]
    if config.many_lengths:
        longest = max(config.lengths)
        many = {round(longest * (i + 1) / config.many_lengths) for i in range(config.many_lengths)}
        grids.append((config.hidden[0], tuple(sorted(many - {0}))))
    rows = []
    with Progress("sweep", total=len(grids) * (config.rounds + 1)) as progress:
        for hidden, lengths in grids:
            rows += _time(config, hidden, lengths, progress)
    return {"Gradient-norm sweep, tanh, float32": rows}


def _time(
    config: Any, hidden: int, lengths: tuple[int, ...], progress: Progress
) -> list[dict[str, Any]]:
    grid = Grid(
        cells=("tanh",),
        scales=config.radii,
        hidden=(hidden,),
        lengths=lengths,
        input_scales=(0.1,),
        seeds=config.seeds,
        batch=config.batch,
        features=8,
        dtype="float32",
    )
    networks = Networks(grid)
    candidates: dict[str, Callable[[], Norms]] = {"rnnlab sweep": lambda: _sweep(grid)}
    candidates["jit(grad) loop"] = networks.jax_loop()
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed, left out; pip install 'rnnlab[peers]' adds it")
    elif len(lengths) <= len(config.lengths):
        candidates["PyTorch loop"] = networks.torch_loop()

    first, warm, norms = {}, {name: [] for name in candidates}, {}
    jax.clear_caches()
    for name, candidate in candidates.items():
        first[name], norms[name] = _clock(candidate)
    progress.advance(1, f"H={hidden}, {len(lengths)} lengths: first calls")
    for round_ in range(config.rounds):
        for name, candidate in candidates.items():
            warm[name].append(_clock(candidate)[0])
        progress.advance(1, f"H={hidden}, {len(lengths)} lengths: round {round_ + 1}")
    ours = "rnnlab sweep"
    return [
        {
            "H": hidden,
            "lengths": len(lengths),
            "candidate": name,
            "first (s)": round(first[name], 2),
            "warm (s)": round(statistics.median(warm[name]), 3),
            "× first": round(first[name] / first[ours], 2),
            "× warm": round(statistics.median(warm[name]) / statistics.median(warm[ours]), 2),
            "0, inf or NaN": int((~np.isfinite(_log10(norms[name]))).sum())
            if name != ours
            else int((~np.isfinite(norms[name])).sum()),
            "of": norms[name].size,
            "largest difference": "" if name == ours else compare(norms[ours], norms[name], grid),
        }
        for name in candidates
    ]


def compare(log10_ours: Norms, theirs: Norms, grid: Grid) -> float:
    """Largest difference in log10 where both are numbers and the network is not chaotic.

    In the chaotic regime two float32 programs follow two trajectories: their gradients are both
    right, for different paths, so that only radii up to 1.1 are compared. Near the floor of
    float32 the loops lose digits to subnormal numbers; points below 1e-17 are left out, since a
    norm squares them.

    Raises:
      RunError: they disagree, so that timing them would mean nothing.
    """
    log10_theirs = _log10(theirs)
    calm = np.repeat(np.asarray(grid.scales) <= 1.1, grid.seeds)[:, None, None]
    both = np.isfinite(log10_theirs) & (log10_theirs > -17) & calm
    difference = float(np.abs(np.where(both, log10_ours - log10_theirs, 0)).max())
    if difference > AGREE:
        raise RunError(
            f"benchmark: candidates differ by {difference:.3g} in log10, more than {AGREE}"
        )
    return round(difference, 6)


def _sweep(grid: Grid) -> Norms:
    """What a user calls; drawing, measuring radii and labelling included."""
    result = sweep.run(grid)
    both = [result[name].squeeze(drop=True) for name in ("log10_grad_h", "log10_grad_wh")]
    stacked = np.stack([a.transpose("radius", "seed", "length").to_numpy() for a in both], -1)
    return stacked.reshape(-1, *stacked.shape[2:])


class Networks:
    """The networks of a grid as the two loops take them: weights, inputs and readout by point."""

    def __init__(self, grid: Grid) -> None:
        from rnnlab.sweep.draws import Corpora, draw

        self.grid = grid
        self.cell = Elman(grid.hidden[0])
        program = grid.programs()[0]
        draws = draw(grid, program, np.arange(grid.seeds), Corpora(None, None))
        self.points = []
        for radius in grid.scales:
            for seed in range(grid.seeds):
                params = jax.tree.map(lambda a, seed=seed: a[seed], draws.params)
                factor = np.float32(radius / draws.spectral_radius[seed, 0])
                params = params | {"wh": params["wh"] * factor}
                xs = draws.xs[seed] * np.float32(grid.input_scales[0])
                self.points.append((params, xs, draws.readout[seed]))

    def jax_loop(self) -> Callable[[], Norms]:
        """A Python loop over points and lengths of one jitted gradient."""

        @jax.jit
        def norms(params: Any, xs: jax.Array, readout: jax.Array) -> tuple[jax.Array, jax.Array]:
            def loss(params: Any, state: Any) -> jax.Array:
                _, ys = unroll(self.cell, params, xs, state)
                return jnp.mean(jnp.sum(ys[-1] * readout, -1))

            start = self.cell.initial_state(xs.shape[1:2], xs.dtype)
            d_params, d_state = jax.grad(loss, (0, 1))(params, start)
            per_sequence = jnp.linalg.norm(d_state.h * xs.shape[1], axis=-1)
            return _geometric_mean(per_sequence), jnp.linalg.norm(d_params["wh"])

        def loop() -> Norms:
            return np.array(
                [
                    [
                        [float(value) for value in norms(params, xs[:steps], readout)]
                        for steps in self.grid.steps
                    ]
                    for params, xs, readout in self.points
                ]
            )

        return loop

    def torch_loop(self) -> Callable[[], Norms]:
        """The same with `torch.nn.RNN` and autograd."""
        import torch

        batch = self.grid.batch
        points = [
            jax.tree.map(lambda a: torch.from_numpy(np.array(a)), point) for point in self.points
        ]
        network: Any = torch.nn.RNN(self.points[0][1].shape[-1], self.cell.hidden)

        def norms(params: Any, xs: Any, readout: Any) -> list[float]:
            with torch.no_grad():
                network.weight_ih_l0.copy_(params["wx"].T)
                network.weight_hh_l0.copy_(params["wh"].T)
                network.bias_ih_l0.copy_(params["b"])
                network.bias_hh_l0.zero_()
            h = torch.zeros(1, batch, self.cell.hidden, requires_grad=True)
            ys, _ = network(xs, h)
            loss = (ys[-1] * readout).sum(-1).mean()
            d_h, d_wh = torch.autograd.grad(loss, (h, network.weight_hh_l0))
            per_sequence = (d_h[0] * batch).norm(dim=-1)
            return [float(per_sequence.log().mean().exp()), float(d_wh.norm())]

        def loop() -> Norms:
            return np.array(
                [
                    [norms(params, xs[:steps], readout) for steps in self.grid.steps]
                    for params, xs, readout in points
                ]
            )

        return loop


def _geometric_mean(values: jax.Array) -> jax.Array:
    return jnp.exp(jnp.mean(jnp.log(values)))


def _log10(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values)


def _clock(function: Callable[[], Norms]) -> tuple[float, Norms]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result
