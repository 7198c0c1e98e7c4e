"""Eight devices give what one gives, to rounding: cut batches, and populations."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.training import devices

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys
import jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
import numpy as np
from rnnlab import cells
from rnnlab.data import tasks
from rnnlab.training import devices, model, optimisers
from tests import quick

devices.COMPILER_OPTIONS = quick.known_options()
found = {}
for name in ("adding", "copy"):
    task = tasks.by_name(name)
    learner = model.task_learner(
        model.Reader(cells.by_name("gru", 8), task.features_out), task, batch=16, length=6,
        optimiser=optimisers.optimiser("adam", 0.01),
    )
    for kind, key in (("one", jax.random.key(1)), ("many", jax.random.split(jax.random.key(1), 4))):
        programs = devices.Programs(learner, key)
        state = programs.start()
        state, metrics = programs.updates(5, state, None)(state, None)
        found[f"{name} {kind}"] = np.asarray(metrics["loss"]).tolist()
        found[f"{name} {kind} devices"] = len(state.params["cell"]["wh"].sharding.device_set)
print(json.dumps(found))
"""


def losses(devices):
    command = [sys.executable, "-c", SCRIPT, str(devices)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_eight_devices_give_the_losses_of_one():
    one, eight = losses(1), losses(8)
    for name in ("adding one", "adding many", "copy one", "copy many"):
        np.testing.assert_allclose(eight[name], one[name], rtol=2e-5)
        assert one[f"{name} devices"] == 1
        assert eight[f"{name} devices"] == (8 if name.endswith("one") else 4)
    assert np.shape(one["copy many"]) == (4, 5)
    assert one["adding one"][0] == pytest.approx(eight["adding one"][0], rel=1e-6)


@pytest.fixture
def no_cache():
    """Without JAX's cache of programs."""
    folder = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", folder)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="pieces are for CPUs")
def test_temporary_buffers_in_pieces(no_cache):
    """Two matrices of 25 MiB live at once: more than one piece."""

    def total(x):
        a = jax.lax.optimization_barrier(x[:, None] * x)
        b = jax.lax.optimization_barrier(a + 1)
        return (a * b).sum()

    assert devices.compiler_options() == devices.PIECES
    x = jnp.arange(2560, dtype=jnp.float32) % 7
    program = jax.jit(total).lower(x).compile(devices.PIECES)
    outer = np.outer(x, x).astype(np.float64)
    np.testing.assert_allclose(program(x), (outer * (outer + 1)).sum(), rtol=1e-4)


def test_no_pieces_where_programs_are_kept(no_cache, monkeypatch):
    monkeypatch.setattr(devices, "COMPILER_OPTIONS", {"xla_dump_to": ""})
    jax.config.update("jax_compilation_cache_dir", "programs")
    assert devices.compiler_options() == {"xla_dump_to": ""}
