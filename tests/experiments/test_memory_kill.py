"""Generated tasks: a run that is killed at a random moment continues with the same bits."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import xarray as xr

from experiments import memory_tasks
from experiments.memory_tasks.measure import measure as measure_all
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from tests import quick
from tests.experiments.settings import changed

ROOT = Path(__file__).parents[2]
SMALL = changed(
    memory_tasks.Config(),
    networks=("additive", "tanh_identity"),
    tasks=("adding",),
    lengths=(5,),
    seeds=2,
    hidden=4,
    batch=4,
    steps=40,
    evaluate_every=4,
    evaluation_batch=16,
    dispatch=4,
    solved=1e-6,
)
TRAINED = ("adding-5-additive", "adding-5-tanh_identity")


def measure(folder):
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "memory_tasks", SMALL) as workdir:
        return measure_all(SMALL, workdir)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "w"
    return folder, measure(folder)


SCRIPT = """
import os, signal, sys, threading, time
sys.path[:0] = [{root!r}]
import jax
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
from pathlib import Path
from experiments.memory_tasks.measure import Solving
from tests.experiments import test_memory_kill

evaluate, begun = Solving.__call__, []

def killing(self, params, step):
    values = evaluate(self, params, step)
    if self not in begun:
        begun.append(self)
    if len(begun) == {network} and step >= {step}:
        threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGKILL)).start()
        time.sleep(0.02)
    return values

Solving.__call__ = killing
test_memory_kill.measure(Path({folder!r}))
"""


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, tmp_path):
    finished, data = whole
    folder = tmp_path / "w"
    code = SCRIPT.format(
        root=str(ROOT),
        folder=str(folder),
        network=random.choice((1, 2)),
        step=random.choice(range(0, 40, 4)),
        delay=random.random() * 0.3,
    )
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=100)
    assert done.returncode in (0, -signal.SIGKILL)
    xr.testing.assert_identical(measure(folder), data)
    for name in TRAINED:
        rows = [(root / name / "metrics.jsonl").read_bytes() for root in (folder, finished)]
        assert rows[0] == rows[1]
