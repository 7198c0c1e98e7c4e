"""What the tests of the benchmark share: suites at toy size, whose programs compile fast."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import jax
import pytest

from experiments import benchmark
from experiments.benchmark.suites import auto, layers, scaling
from rnnlab import timing
from rnnlab.run.load import Disturbance, Load
from rnnlab.run.workdir import open_workdir
from tests import quick


@pytest.fixture(autouse=True)
def quick_programs(monkeypatch):
    """Programs that compile fast and run slowly; what they compute is the same."""
    monkeypatch.setattr(timing, "jit", quick.jit)


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch):
    """Rows are not marked because other tests run beside this one."""
    monkeypatch.setattr(Load, "disturbance", lambda load: Disturbance(load.others(), ()))


@pytest.fixture
def run_suite(monkeypatch, tmp_path):
    """Runs one suite at toy size with one strategy, and returns its results.

    It takes at most two peers, no large product, and keeps caches: little is compiled.
    """
    monkeypatch.setattr(jax, "clear_caches", lambda: None)
    for module in (auto, layers, scaling):
        monkeypatch.setattr(module, "matrix_product_peak", lambda dtype: 100.0)
    tiny = benchmark.PRESETS["tiny"]
    only = dataclasses.replace(tiny.candidates, strategies=("autodiff",), peers=("linen", "haiku"))

    def run(suite: str, **fields: Any) -> dict[str, Any]:
        section = dataclasses.replace(getattr(tiny, suite), **fields)
        changed: dict[str, Any] = {"suites": (suite,), "candidates": only, suite: section}
        config = dataclasses.replace(tiny, **changed)
        with open_workdir(tmp_path / "run", "benchmark", config) as workdir:
            benchmark.run(config, workdir)
        return json.loads((tmp_path / "run/results.json").read_text())

    return run
