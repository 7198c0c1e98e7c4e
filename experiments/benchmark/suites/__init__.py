"""The suites by name: each yields what it finds, after each of its parts."""

from collections.abc import Callable, Iterator

from experiments.benchmark.config import Config
from experiments.benchmark.results import Result
from experiments.benchmark.suites import auto, cells, layers, memory, scaling, stream, sweep

Suite = Callable[[Config], Iterator[Result]]

SUITES: dict[str, Suite] = {
    "layers": layers.run,
    "cells": cells.run,
    "scaling": scaling.run,
    "auto": auto.run,
    "sweep": sweep.run,
    "memory": memory.run,
    "stream": stream.run,
}

__all__ = ["SUITES", "Suite"]
