"""How fast is the laboratory, and how much memory does it take, against what people write today?

Suites. `layers`: Elman, LSTM and GRU layers, stacked and bidirectional, in every strategy against
the same layers of Flax (Linen and NNX), Haiku, Equinox, Keras on JAX, PyTorch, and on a GPU cuDNN:
forward, gradient of the parameters, gradient of parameters and inputs. `cells`: every cell at one
shape, plain autodiff against the other strategies. `scaling`: time and memory of a gradient against
T, H and B with the fitted exponent, compile time against T and depth. `auto`: the table by which
`strategy="auto"` chooses. `sweep`: the gradient-norm
sweep against a Python loop over `jit(grad)` and over PyTorch's autograd, one call for each point
and length. `memory`: peak memory of a gradient through 100,000 steps with rematerialisation.
`stream`: microseconds of a single step.

Before timing, the candidates of a suite must agree on the same weights (in the sweep wherever the
loops return a number other than 0 and inf). Candidates take turns; medians, in `layers` also
quartiles, over the rounds; the first call (with compilation) apart. Every table is in
`results.json` with device, versions and flags, and is written after each of its parts.

Command: `python run.py --experiment=benchmark`, and for the layers
`python run.py --experiment=benchmark --config.suites=layers`, once more with
`--config.allocator=hugepages`. Aimed at: gradients of LSTM layers 1.3 times, of Elman and GRU
layers 1.5 times as fast as the best peer on JAX, and no slower, for Elman and GRU twice as fast, as
PyTorch at H of 128 or more; the sweep at least twice as fast as the JAX loop once compiled, no
slower with compilation, eight times as fast as PyTorch, ten times as fast as the JAX loop with 100
lengths. The default takes about 10 minutes on two cores, the layers about 90 minutes; let nothing
else run.
"""

import dataclasses
from typing import Any

from experiments import (
    _benchmark_allocator,
    _benchmark_auto,
    _benchmark_cells,
    _benchmark_layers,
    _benchmark_memory,
    _benchmark_scaling,
    _benchmark_stream,
    _benchmark_sweep,
)
from experiments._benchmark_output import Output
from experiments._benchmark_problem import AGREE, parse_layer, parse_shape
from rnnlab import cells
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.strategies import STRATEGIES


def _of_tables(suite: Any) -> Any:
    """A suite that returns its tables at its end, as one that writes them."""

    def run(config: Any, output: Output) -> None:
        for title, rows in suite(config).items():
            output.table(title, rows)

    return run


SUITES = {
    "layers": _benchmark_layers.run,
    "cells": _benchmark_cells.run,
    "scaling": _benchmark_scaling.run,
    "auto": _benchmark_auto.run,
    "sweep": _of_tables(_benchmark_sweep.run),
    "memory": _of_tables(_benchmark_memory.run),
    "stream": _of_tables(_benchmark_stream.run),
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What is timed."""

    #: Which parts to run: layers, cells, scaling, auto, sweep, memory, stream.
    suites: tuple[str, ...] = ("sweep", "memory", "stream")
    #: Layers of the suite layers: CELL, CELL:bi for both directions, CELL:3 for three layers.
    layers: tuple[str, ...] = ("tanh", "lstm", "gru", "gru_reset_before", "lstm:3", "lstm:bi")
    #: Their shapes, BxTxDxH; none for 32x128x128x128, 32x256x64x256, 64x100x256x512, 128x50x64x64,
    #: 1x1000x32x64, and on a GPU 16x1024x768x768.
    shapes: tuple[str, ...] = ()
    #: Strategies of ours in the suite layers; none for all that run on this device.
    strategies: tuple[str, ...] = ()
    #: Their dtypes: float32, bfloat16.
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    #: Rounds in which the candidates of layers, cells and scaling take turns.
    turns: int = 15
    #: Seconds after which a candidate of these has no more turns, for each shape and pass.
    seconds: float = 4.0
    #: Cells of the suite cells; none for all.
    cells: tuple[str, ...] = ()
    #: Shape of the suite cells, and the middle of scaling.
    base: str = "32x128x128x128"
    #: Sizes along each axis of scaling, each twice the one before.
    points: int = 5
    #: How buffers are allocated, for all candidates alike: default, or hugepages (glibc keeps them,
    #: in large pages; the command then starts itself again).
    allocator: str = "default"
    #: Widths of the tanh networks of the sweep.
    hidden: tuple[int, ...] = (32, 64, 128)
    #: Spectral radii of the sweep.
    radii: tuple[float, ...] = (0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0)
    #: Draws of the weights for each radius.
    seeds: int = 4
    #: Sequence lengths of the sweep, in steps.
    lengths: tuple[int, ...] = (10, 20, 50, 100, 200, 500, 1000)
    #: Number of lengths, evenly spaced up to the longest, of the second grid; 0 leaves it out.
    many_lengths: int = 100
    #: Sequences in a batch.
    batch: int = 16
    #: Rounds in which the candidates of the sweep, and single steps, take turns.
    rounds: int = 3
    #: Steps of the gradient whose memory is measured.
    memory_steps: int = 100_000

    def __post_init__(self) -> None:
        _check_among("suites", self.suites, SUITES)
        _check_among("dtypes", self.dtypes, AGREE)
        _check_among("strategies", self.strategies, STRATEGIES)
        _check_among("cells", self.cells, cells.CELLS)
        _check_among("allocator", (self.allocator,), _benchmark_allocator.TUNABLES)
        for layer in self.layers:
            parse_layer(layer, 1)
        for shape in self.shapes:
            parse_shape("shapes", shape)
        parse_shape("base", self.base)
        for name in ("seeds", "batch", "rounds", "turns", "points", "memory_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be a positive integer")
        for name in ("suites", "layers", "dtypes", "hidden", "radii", "lengths"):
            if not getattr(self, name):
                raise UsageError(f"{name}=(): must have at least one entry")
        for name in ("hidden", "radii", "lengths"):
            if min(getattr(self, name)) <= 0:
                raise UsageError(f"{name}={getattr(self, name)}: must all be positive")
        if not self.seconds > 0:
            raise UsageError(f"seconds={self.seconds}: must be positive")
        if self.many_lengths < 0:
            raise UsageError(f"many_lengths={self.many_lengths}: must not be negative")


def _check_among(name: str, given: Any, known: Any) -> None:
    for value in given:
        if value not in known:
            raise UsageError(f"{name}={value!r}: unknown, choose among {', '.join(known)}")


def run(config: Config, workdir: Workdir) -> None:
    """Runs the suites one after the other and reports them; nothing is kept between runs."""
    _benchmark_allocator.require(config.allocator)
    output = Output(workdir, config.allocator)
    for suite in config.suites:
        SUITES[suite](config, output)
