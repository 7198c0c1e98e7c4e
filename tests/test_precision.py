"""Float32 is float32, also where a device would rather shorten it, unless told otherwise."""

import json
import pathlib

import jax
import jax.numpy as jnp
import pytest

from rnnlab import precision
from rnnlab.cells import Elman
from rnnlab.gradients import (
    adjoint_profile,
    lyapunov_exponents,
    parameter_gradients,
    state_jacobian,
)
from rnnlab.run import launch, registry

ROOT = pathlib.Path(__file__).parents[1]
EXPERIMENTS = registry.experiments(ROOT / "experiments")


@pytest.fixture(autouse=True)
def restored():
    yield
    precision.use("float32")


def products_of(function, *arguments):
    """The precisions of the products of float32 in a program, as XLA gets them."""
    lines = jax.jit(function).lower(*arguments).as_text().splitlines()
    dots = [line for line in lines if "dot_general" in line]
    assert dots
    return {"HIGHEST" if "HIGHEST" in line else "DEFAULT" for line in dots}


@pytest.mark.parametrize(
    "measure",
    [
        lambda *network: adjoint_profile(*network).log10_joint,
        lambda *network: parameter_gradients(*network).log10_norm,
        lambda *network: lyapunov_exponents(*network).exponents,
        lambda *network: state_jacobian(*network, lengths=[2]).log10_sigma_max,
    ],
)
def test_measurements_take_float32_unless_told_otherwise(measure):
    cell = Elman(4)
    params, xs = cell.init(jax.random.key(0), 3), jnp.ones((2, 3), jnp.float32)
    jax.config.update("jax_default_matmul_precision", None)
    assert precision.in_use() == "not set"
    assert products_of(lambda p, x: measure(cell, p, x), params, xs) == {"HIGHEST"}
    precision.use("fast")
    assert products_of(lambda p, x: measure(cell, p, x), params, xs) == {"DEFAULT"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_can_be_asked_for_it(name):
    config = EXPERIMENTS[name].settings().config_class
    assert config().precision == "float32"
    with pytest.raises(Exception, match=r"^precision=half: must be float32 or fast"):
        config(precision="half")


def test_a_run_sets_and_records_it(tmp_path):
    command = ["run.py", "--experiment=cliff", "--preset=tiny", "--config.length=1"]
    small = ["--config.points=21", "--config.updates=1", "--config.neighbours=1"]
    flags = ["--config.precision=fast", f"--workdir={tmp_path / 'w'}"]
    assert launch.main([*command, *small, *flags], ROOT / "experiments") == 0
    assert jax.config.jax_default_matmul_precision == "default"
    status, config = (
        json.loads((tmp_path / "w" / name).read_text()) for name in ("status.json", "config.json")
    )
    assert status["precision"] == config["config"]["precision"] == "fast"
    assert "products of float32" in (tmp_path / "w" / "report.html").read_text()
