"""The suites by name: each yields what it finds, after each of its parts."""

from collections.abc import Callable, Iterator

from experiments.benchmark.config import Config
from experiments.benchmark.results import Result
from experiments.benchmark.suites import (
    auto,
    cells,
    characters,
    layers,
    machines,
    memory,
    scaling,
    stream,
    sweep,
    targets,
    translation,
)

Suite = Callable[[Config], Iterator[Result]]

SUITES: dict[str, Suite] = {
    "layers": layers.run,
    "cells": cells.run,
    "scaling": scaling.run,
    "auto": auto.run,
    "sweep": sweep.run,
    "memory": memory.run,
    "stream": stream.run,
    "translation": translation.run,
    "characters": characters.run,
    "targets": targets.run,
    "machines": machines.run,
}

__all__ = ["SUITES", "Suite"]
