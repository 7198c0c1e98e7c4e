"""How fast is the laboratory, and how much memory does it take, against what people write today?

Suites. `sweep`: the gradient-norm sweep against a Python loop over `jit(grad)` and over PyTorch's
autograd, one call for each point and length. All candidates measure the same: `‖∂L/∂h_0‖` of every
sequence and `‖∂L/∂wh‖`, for a loss on the last output. Before timing they must agree wherever the
loops return a number other than 0 and inf; the points where they do not are counted. Candidates
take turns; medians over the rounds, the first call (with compilation) apart. `memory`: peak memory
of a gradient through 100,000 steps with rematerialisation. `stream`: microseconds of a single step.

Command: `python run.py --experiment=benchmark`. Aimed at: the sweep at least twice as fast as the
JAX loop once compiled, no slower with compilation, eight times as fast as PyTorch, ten times as
fast as the JAX loop with 100 lengths. Takes about 10 minutes on two cores; let nothing else run.
"""

import dataclasses
import json

from experiments import _benchmark_memory, _benchmark_stream, _benchmark_sweep
from rnnlab.errors import UsageError
from rnnlab.report import Report
from rnnlab.tables import print_table
from rnnlab.workdir import Workdir

SUITES = {
    "sweep": _benchmark_sweep.run,
    "memory": _benchmark_memory.run,
    "stream": _benchmark_stream.run,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What is timed."""

    #: Which parts to run: sweep, memory, stream.
    suites: tuple[str, ...] = ("sweep", "memory", "stream")
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
    #: Rounds in which the candidates take turns.
    rounds: int = 3
    #: Steps of the gradient whose memory is measured.
    memory_steps: int = 100_000

    def __post_init__(self) -> None:
        for suite in self.suites:
            if suite not in SUITES:
                raise UsageError(f"suites={suite!r}: unknown, choose among {', '.join(SUITES)}")
        for name in ("seeds", "batch", "rounds", "memory_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be a positive integer")
        for name in ("suites", "hidden", "radii", "lengths"):
            if not getattr(self, name):
                raise UsageError(f"{name}=(): must have at least one entry")
        for name in ("hidden", "radii", "lengths"):
            if min(getattr(self, name)) <= 0:
                raise UsageError(f"{name}={getattr(self, name)}: must all be positive")
        if self.many_lengths < 0:
            raise UsageError(f"many_lengths={self.many_lengths}: must not be negative")


def run(config: Config, workdir: Workdir) -> None:
    """Runs the suites one after the other and reports them; nothing is kept between runs."""
    report = Report("Benchmark")
    results = {}
    for suite in config.suites:
        for title, rows in SUITES[suite](config).items():
            results[title] = rows
            report.table(rows, caption=title)
            print_table(rows, title=title)
    workdir.write("results.json", json.dumps(results, indent=2) + "\n")
    report.settings(workdir)
    report.write(workdir.path("report.html"))
