from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

import rnnlab.cells as cells
from rnnlab.errors import UsageError
from rnnlab.strategies import Split, hoisted
from rnnlab.unroll import unroll

ROOT = pathlib.Path(__file__).parents[2]


def run_on_three_devices(*options):
    """JAX fixes the number of its devices when it starts, and other tests want one."""
    flags = "--xla_force_host_platform_device_count=3"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += [
        "-o",
        "addopts=--import-mode=importlib",
        *options,
        "tests/strategies/split_on_devices.py",
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_on_three_devices():
    run_on_three_devices("-m", "not slow")


@pytest.mark.slow
def test_every_cell_on_three_devices():
    run_on_three_devices("-m", "slow")


@pytest.mark.parametrize("batch_shape", [(4,), ()])
def test_one_device_runs_the_program_of_the_inner_strategy(batch_shape):
    cell = cells.LSTM(3)
    params = cell.init(jax.random.key(0), 2)
    xs = jnp.zeros((5, *batch_shape, 2), jnp.float32)
    one = Split(devices=jax.local_devices()[:1])

    def program(strategy):
        return str(jax.make_jaxpr(lambda p, x: unroll(cell, p, x, strategy=strategy))(params, xs))

    assert program(one) == program(hoisted)


@pytest.mark.parametrize("devices", [[], ["cpu:0"], [jax.devices()[0]] * 2])
def test_devices_that_are_none_or_twice_the_same_are_refused(devices):
    with pytest.raises(UsageError, match=r"devices=.*: must be distinct devices"):
        Split(devices=devices)
