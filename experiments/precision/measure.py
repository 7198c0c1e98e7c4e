"""Measures all networks in all ways, and the chaotic networks, as one data set."""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
import xarray as xr

from experiments.precision.config import Config
from experiments.precision.networks import Network, draw_network
from experiments.precision.norms import log_domain, naive
from experiments.precision.schema import ROUNDINGS, WAYS
from rnnlab.run import results
from rnnlab.run.workdir import Workdir


def measure(config: Config, workdir: Workdir) -> xr.Dataset:
    """Measures what is not there yet: each network at each radius, then the chaotic networks."""
    jobs: dict[str, Callable[[], xr.Dataset]] = {
        f"{network.replace(' ', '-')}-radius-{radius}": partial(
            measure_radius, config, network, radius
        )
        for network in config.networks
        for radius in config.radii
    }
    jobs["chaos"] = partial(measure_chaos, config)
    return results.measured(workdir, "precision", jobs, partial(combine, config))


def measure_radius(config: Config, network: str, radius: float) -> xr.Dataset:
    """`log10_norm [seed, way, length]` at one radius."""
    values = [
        measure_network(config.lengths, draw_network(config, network, radius, seed))
        for seed in range(config.seeds)
    ]
    coords = {"way": list(WAYS), "length": list(config.lengths)}
    note = {"long_name": "log10 ‖∂L/∂s_0‖"}
    data = xr.Dataset({"log10_norm": (("seed", "way", "length"), np.stack(values), note)}, coords)
    return data.assign_coords(network=network, radius=radius)


def measure_network(lengths: tuple[int, ...], network: Network) -> np.ndarray:
    """The numbers of one network, `[way, length]`; for float32 the network itself is rounded."""
    rows = []
    for way in WAYS:
        dtype, _, kind = way.partition(" ")
        cell, *arrays = network.cast(dtype)
        rows.append((naive if kind == "naive" else log_domain)(cell, lengths, *arrays))
    return np.stack([np.asarray(row, np.float64) for row in rows])


def measure_chaos(config: Config) -> xr.Dataset:
    """`chaos_log10_norm [chaos_seed, rounding, chaos_length]`, in the log domain."""
    lengths = config.chaotic_lengths
    values = np.empty((config.chaotic_seeds, len(ROUNDINGS), len(lengths)))
    for seed in range(config.chaotic_seeds):
        network = draw_network(config, config.cells[0], config.chaotic_radius, seed)
        network = network._replace(xs=network.xs[: lengths[-1]])
        nudged = jax.tree.map(lambda a: a * (1 + np.finfo(np.float64).eps), network.state)
        roundings = (
            network.cast("float32"),
            network,
            network._replace(state=nudged),
        )
        for row, (cell, *arrays) in enumerate(roundings):
            values[seed, row] = np.asarray(log_domain(cell, lengths, *arrays))
    dims = ("chaos_seed", "rounding", "chaos_length")
    coords = {"rounding": list(ROUNDINGS), "chaos_length": list(lengths)}
    return xr.Dataset({"chaos_log10_norm": (dims, values)}, coords)


def combine(config: Config, partial_results: dict[str, xr.Dataset]) -> xr.Dataset:
    """`log10_norm [network, radius, seed, way, length]`, and the chaotic networks."""
    *points, chaos = partial_results.values()
    size = len(config.radii)
    rows = [
        xr.concat(points[start : start + size], "radius") for start in range(0, len(points), size)
    ]
    return xr.concat(rows, "network").merge(chaos)
