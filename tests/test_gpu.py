"""What only a GPU shows: float32 that is float32, branches for it, two runs that share it."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import precision
from rnnlab.cells import LSTM
from rnnlab.gradients import adjoint_profile, lyapunov_exponents, state_jacobian

pytestmark = pytest.mark.gpu
ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def restored():
    yield
    precision.use("float32")


def test_products_of_float32_are_float32_unless_told_otherwise():
    a = np.random.default_rng(0).normal(size=(256, 256))
    narrow = jnp.asarray(a, jnp.float32)
    error = {}
    for name in precision.PRECISIONS:
        precision.use(name)
        error[name] = float(np.abs(jax.jit(jnp.matmul)(narrow, narrow) - a @ a).max())
    assert error["float32"] < 1e-3 < error["fast"]


def test_measurements_are_those_of_the_cpu():
    cell = LSTM(16)
    params = cell.init(jax.random.key(0), 3, jnp.float64)
    xs = jax.random.normal(jax.random.key(1), (40, 3), jnp.float64)

    def measure(params, xs):
        jacobian = state_jacobian(cell, params, xs, lengths=[40])
        return (
            adjoint_profile(cell, params, xs).log10_joint,
            lyapunov_exponents(cell, params, xs).exponents,
            jacobian.log10_singular_values,
        )

    here = measure(params, xs)
    with jax.default_device(jax.devices("cpu")[0]):
        there = measure(*jax.device_put((params, xs), jax.devices("cpu")[0]))
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-8)


def test_two_runs_share_it(tmp_path):
    command = [sys.executable, "run.py", "--experiment=cliff", "--preset=tiny"]
    runs = [
        subprocess.Popen(
            [*command, f"--workdir={tmp_path / name}"],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for run in runs:
        _, errors = run.communicate(timeout=300)
        assert run.returncode == 0, errors
