"""Clocks: candidates that take turns, medians and quartiles, the peak of products.

The first call of a program, with tracing and compilation, is timed apart. After it the candidates
of one comparison take turns in rounds, each round in another order, so that neither a change of the
processor's clock nor what the predecessor left in the caches favours one of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import jit

from rnnlab.errors import UsageError

#: A candidate that has used up its seconds still gets this many rounds, for a median that is one.
LEAST_ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled call, ready to be timed.

    Attributes:
      call: runs it and waits for its result.
      first: seconds of the first call, with tracing and compilation.
      result: what the first call returned.
      temporaries: bytes that XLA reserves beside arguments and results; None where unknown.
      start: runs it without waiting; None where it always waits.
    """

    call: Callable[[], Any]
    first: float
    result: Any
    temporaries: int | None = None
    start: Callable[[], Any] | None = None


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds of each round of one candidate."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of all rounds, in seconds."""
        return float(np.median(self.seconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        """What a quarter and three quarters of the rounds stay below, in seconds."""
        low, high = np.quantile(self.seconds, (0.25, 0.75))
        return float(low), float(high)


def compile_jax(
    function: Callable[..., Any], *args: Any, options: dict[str, Any] | None = None
) -> Program:
    """Compiles `function(*args)`, with options of XLA, and calls it once."""
    start = time.perf_counter()
    compiled = jit(function).lower(*args).compile(options)
    result = jax.block_until_ready(compiled(*args))
    first = time.perf_counter() - start

    def call() -> Any:
        return jax.block_until_ready(compiled(*args))

    return Program(call, first, result, _temporaries(compiled), lambda: compiled(*args))


def _temporaries(compiled: jax.stages.Compiled) -> int | None:
    """Bytes that XLA reserves beside arguments and results; None where it does not say."""
    with contextlib.suppress(jax.errors.JaxRuntimeError, NotImplementedError):
        return getattr(compiled.memory_analysis(), "temp_size_in_bytes", None)
    return None


def take_turns(
    calls: Mapping[str, Callable[[], Any]], rounds: int, seconds: float
) -> tuple[dict[str, Times], dict[str, str]]:
    """Times the calls round by round.

    Args:
      calls: what to time, by name.
      rounds: rounds in which every call has its turn.
      seconds: a call that has taken as long altogether has no more turns after `LEAST_ROUNDS`.

    Returns:
      The timings by name, and the reasons of those that failed.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    failed: dict[str, str] = {}
    with _no_garbage_collection():
        for round_ in range(rounds):
            for name in random.Random(round_).sample(sorted(calls), len(calls)):
                used = times[name]
                if name in failed or (len(used) >= LEAST_ROUNDS and sum(used) >= seconds):
                    continue
                try:
                    used.append(_clock(calls[name]))
                except Exception as error:
                    failed[name] = reason(error)
    return {name: Times(tuple(used)) for name, used in times.items() if name not in failed}, failed


def reason(error: BaseException) -> str:
    """Why a candidate failed, in one line; out of memory by that name, whoever reports it."""
    text = " ".join(str(error).split())
    out = ("RESOURCE_EXHAUSTED", "out of memory", "can't allocate memory", "bad_alloc")
    if isinstance(error, MemoryError) or any(word.lower() in text.lower() for word in out):
        return f"out of memory ({text[:120] or type(error).__name__})"
    return text if isinstance(error, UsageError) else f"{type(error).__name__}: {text[:200]}"


@functools.cache
def matrix_product_peak(dtype: Any, size: int | None = None, rounds: int = 9) -> float:
    """The most GFLOP/s that `a @ b` of `[size, size]` reaches here in that dtype."""
    size = size or (2048 if jax.default_backend() == "cpu" else 8192)
    a, b = (jax.random.normal(jax.random.key(seed), (size, size), dtype) for seed in (0, 1))
    program = compile_jax(jnp.matmul, a, b)
    fastest = min(_clock(program.call) for _ in range(rounds))
    return 2 * size**3 / fastest / 1e9


def _clock(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
