"""Peak memory of a gradient through very many steps, each strategy in a process of its own."""

import json
import pathlib
import re
import resource
import subprocess
import sys
from typing import Any

#: Units, inputs and batch of the networks whose memory is measured.
HIDDEN, FEATURES, BATCH = 128, 8, 1


def run(config: Any) -> dict[str, list[dict[str, Any]]]:
    """Runs each strategy in a fresh process; returns a table by title."""
    rows = []
    for cell in ("tanh", "lstm"):
        for strategy in ("autodiff", "hoisted", "rematerialised"):
            command = [sys.executable, "-m", __name__, cell, strategy, str(config.memory_steps)]
            done = subprocess.run(command, capture_output=True, text=True)
            row = {"cell": cell, "strategy": strategy}
            if done.returncode == 0:
                row |= json.loads(done.stdout.splitlines()[-1])
            else:
                row |= {"gradient (MiB)": (done.stderr.splitlines() or ["failed"])[-1]}
            rows.append(row)
    title = (
        f"Parameter gradient through T = {config.memory_steps}, H = {HIDDEN}, B = {BATCH}, float32"
    )
    return {title: rows}


def measure(cell_name: str, strategy: str, steps: int) -> dict[str, float]:
    """Peak resident memory in MiB above what the process held before the gradient was compiled."""
    import time

    import jax
    import jax.numpy as jnp

    from rnnlab import cells
    from rnnlab.unroll import unroll

    cell = cells.by_name(cell_name, HIDDEN)
    params = cell.init(jax.random.key(0), FEATURES)
    xs = jax.random.normal(jax.random.key(1), (steps, BATCH, FEATURES))

    @jax.jit
    def gradient(params: Any, xs: jax.Array) -> Any:
        def loss(params: Any) -> jax.Array:
            state, _ = unroll(cell, params, xs, strategy=strategy)
            return jnp.sum(state.h)

        return jax.grad(loss)(params)

    jax.block_until_ready((params, xs))
    before = _peak()
    compiled = gradient.lower(params, xs).compile()
    jax.block_until_ready(compiled(params, xs))
    peak = _peak() - before
    start = time.perf_counter()
    jax.block_until_ready(compiled(params, xs))
    temporaries: Any = compiled.memory_analysis()
    return {
        "gradient (MiB)": round(peak),
        "XLA temporaries (MiB)": round(temporaries.temp_size_in_bytes / 2**20),
        "time (s)": round(time.perf_counter() - start, 2),
    }


def _peak() -> float:
    """Largest resident memory of this process so far, in MiB.

    Linux starts `ru_maxrss` of a process with that of the one that started it, `VmHWM` afresh.
    """
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
