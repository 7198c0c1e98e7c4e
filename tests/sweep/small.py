"""A sweep that takes a moment, for the tests and for the processes they start."""

import pathlib
import subprocess
import sys

from rnnlab import sweep

ROOT = pathlib.Path(__file__).parents[2]

GRID = sweep.Grid(
    cells=("tanh",),
    scales=(0.9, 1.2),
    lengths=(3, 6),
    hidden=(4,),
    input_scales=(0.1, 0.5),
    seeds=3,
    batch=2,
)
#: One point in each grid_chunk.
LITTLE = 1.0
CHUNKS = 12

PREAMBLE = """
import pathlib, sys
import jax
jax.config.update("jax_enable_x64", True)
from rnnlab import sweep
from rnnlab.run import results
from tests.sweep.small import GRID, LITTLE
"""


def start(code: str, *arguments: object, **settings: object) -> subprocess.Popen[str]:
    """Starts a process of its own that runs `code` after `PREAMBLE`."""
    command = [sys.executable, "-c", PREAMBLE + code, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **pipes, **settings)  # type: ignore[call-overload]


def finish(process: subprocess.Popen[str]) -> None:
    """Waits for a process; its output is the message if it failed."""
    output = process.communicate(timeout=120)
    assert process.returncode == 0, "\n".join(output)
