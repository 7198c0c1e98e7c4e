"""Peak memory of a gradient through very many steps, each strategy in a process of its own."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from experiments.benchmark import memory
from experiments.benchmark.config import Config
from experiments.benchmark.results import Result, Table

STRATEGIES = ("autodiff", "hoisted", "rematerialised")
#: The folder that holds `experiments`.
ROOT = pathlib.Path(__file__).parents[3]


def run(config: Config) -> Iterator[Result]:
    """Runs each strategy in a fresh process."""
    length = config.memory.length
    rows = [
        {"cell": cell, "strategy": strategy} | _in_a_process(cell, strategy, length)
        for cell in config.memory.cells
        for strategy in STRATEGIES
    ]
    yield Table(
        f"Parameter gradient through T = {length}, H = {memory.HIDDEN}, B = {memory.BATCH}, "
        "float32",
        rows,
    )


def _in_a_process(cell: str, strategy: str, length: int) -> dict[str, Any]:
    """What `memory.measure` returns in a process of its own, or why it failed."""
    command = [sys.executable, "-m", memory.__name__, cell, strategy, str(length)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    reason = done.stderr.splitlines() or [f"failed with exit code {done.returncode}"]
    return {memory.PEAK: reason[-1]}
