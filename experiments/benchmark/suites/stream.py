"""Microseconds of a single step, as a service that reads one input at a time would take it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from experiments.benchmark.config import Config
from experiments.benchmark.memory import peak_memory
from experiments.benchmark.results import Result, Table
from rnnlab import cells
from rnnlab.unroll import step

#: Steps of a round; units and inputs of the networks.
STEPS, HIDDEN, FEATURES = 2000, 128, 128


def run(config: Config) -> Iterator[Result]:
    """Streams through each cell."""
    rows = [_time(name, config.stream.rounds) for name in ("tanh", "gru", "lstm")]
    yield Table(f"Streaming, one step, H = {HIDDEN}, D = {FEATURES}, batch 1, float32", rows)


def _time(name: str, rounds: int) -> dict[str, Any]:
    cell = cells.by_name(name, HIDDEN)
    params = cell.init(jax.random.key(0), FEATURES)
    x = jax.random.normal(jax.random.key(1), (1, FEATURES), jnp.float32)
    traces = 0

    def counted(params: Any, x: jax.Array, state: Any) -> Any:
        nonlocal traces
        traces += 1
        return step(cell, params, x, state)

    advance = jax.jit(counted, donate_argnums=2)
    state, y = advance(params, x, cell.initial_state((1,)))
    times, before = [], peak_memory()
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(STEPS):
            state, y = advance(params, x, state)
        y.block_until_ready()
        times.append((time.perf_counter() - start) / STEPS * 1e6)
    return {
        "cell": name,
        "µs a step": round(statistics.median(times), 1),
        "traces": traces,
        "memory grown over all steps (KiB)": round((peak_memory() - before) * 1024),
    }
