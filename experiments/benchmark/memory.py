"""Peak memory of one gradient through very many steps, measured in this process.

    python -m experiments.benchmark.memory CELL STRATEGY LENGTH

The suite `memory` starts it once for each row of its table.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp

from rnnlab import cells
from rnnlab.timing import reason
from rnnlab.unroll import unroll

#: Units, inputs and batch of the networks whose memory is measured.
HIDDEN, FEATURES, BATCH = 128, 8, 1
#: The column that holds the reason where a gradient fails.
PEAK = "gradient (MiB)"


def measure(cell_name: str, strategy: str, length: int) -> dict[str, float]:
    """Peak resident memory in MiB above what the process held before the gradient was compiled."""
    cell = cells.by_name(cell_name, HIDDEN)
    params = cell.init(jax.random.key(0), FEATURES)
    xs = jax.random.normal(jax.random.key(1), (length, BATCH, FEATURES))

    @jax.jit
    def gradient(params: Any, xs: jax.Array) -> Any:
        def loss(params: Any) -> jax.Array:
            state, _ = unroll(cell, params, xs, strategy=strategy)
            return jnp.sum(state.h)

        return jax.grad(loss)(params)

    jax.block_until_ready((params, xs))
    before = peak_memory()
    compiled = gradient.lower(params, xs).compile()
    jax.block_until_ready(compiled(params, xs))
    peak = peak_memory() - before
    start = time.perf_counter()
    jax.block_until_ready(compiled(params, xs))
    seconds = time.perf_counter() - start
    temporaries: Any = compiled.memory_analysis()
    return {
        PEAK: round(peak),
        "XLA temporaries (MiB)": round(temporaries.temp_size_in_bytes / 2**20),
        "time (s)": round(seconds, 2),
    }


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MiB.

    On Linux a process inherits `ru_maxrss` from the one that started it, but not `VmHWM`.
    """
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1024
    import resource  # which Windows has not

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    try:
        print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
    except Exception as error:
        sys.exit(reason(error))
