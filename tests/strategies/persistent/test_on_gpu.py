"""The kernels of `persistent` on a GPU that they run on: `pytest -m gpu`."""

import contextlib
import os
import pathlib
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import Bidirectional, Stack, cells, unroll
from rnnlab.cells import CELLS
from rnnlab.strategies import StrategyWarning, persistent

pytestmark = pytest.mark.gpu
ROOT = pathlib.Path(__file__).parents[3]
D, T, B = 24, 17, 11
LENGTHS = np.arange(B) * 3 % (T + 1)
RESETS = np.random.default_rng(0).random((T, B)) < 0.2
CALLS = {
    "plain": {},
    "lengths": {"lengths": LENGTHS},
    "resets": {"resets": RESETS},
    "reverse": {"lengths": LENGTHS, "resets": RESETS, "reverse": True},
}
#: Relative to the norm of an array, against `autodiff` in float64.
TOLERANCES = {"float32": 1e-5, "bfloat16": 3e-2, "float16": 4e-3}
#: Seconds after which a kernel that waits for ever is stopped.
LIMIT = 600


@pytest.fixture(autouse=True)
def runs_here():
    reason = persistent.refuses(cells.LSTM(8))
    if reason is not None:
        pytest.skip(reason)


def layer_of(name, hidden):
    """A cell, or an arrangement of them."""
    arrangements = {
        "both": Bidirectional(cells.LSTM(hidden), cells.LSTM(hidden)),
        "stack": Stack((cells.GRU(hidden), cells.LSTM(hidden))),
    }
    return arrangements.get(name) or CELLS[name](hidden)


def everything(layer, strategy, args, call):
    """Final state, outputs, and the gradients of all arguments."""

    @jax.jit
    def run(*args):
        out, pull = jax.vjp(lambda *a: unroll(layer, *a, strategy=strategy, **call), *args)
        cotangent = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size)).reshape(a.shape), out)
        return out, pull(jax.tree.map(lambda d, a: d.astype(a.dtype), cotangent, out))

    return jax.tree.map(lambda a: np.asarray(a, np.float64), run(*args))


def arguments(layer, dtype, batch=B, steps=T, features=D):
    """Parameters without zeros, inputs and a state."""
    keys = iter(jax.random.split(jax.random.key(0), 999))
    move = lambda a: a + 0.1 * jax.random.normal(next(keys), a.shape, a.dtype)  # noqa: E731
    params = jax.tree.map(move, layer.init(next(keys), features, dtype))
    state = jax.tree.map(move, layer.initial_state((batch,), dtype))
    return params, jax.random.normal(next(keys), (steps, batch, features), dtype), state


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("hidden", [64, 100, 768])
@pytest.mark.parametrize("name", [*CELLS, "both", "stack"])
def test_values_and_gradients_are_those_of_autodiff(name, hidden, dtype):
    layer = layer_of(name, hidden)
    args = arguments(layer, jnp.dtype(dtype))
    wide = jax.tree.map(lambda a: a.astype(jnp.float64), args)
    for call, flags in CALLS.items():
        given = _given_to_hoisted(layer, args)
        with pytest.warns(StrategyWarning) if given else contextlib.nullcontext():
            got = everything(layer, "persistent", args, flags)
        assert_close(got, everything(layer, "autodiff", wide, flags), TOLERANCES[dtype], call)


def assert_close(got, want, tolerance, call):
    """That the norm of each difference is small against that of the values wanted."""
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(want), strict=True
    ):
        place = f"{call}: {jax.tree_util.keystr(path)}"
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b) + 1e-30, place


@pytest.mark.parametrize(("hidden", "batch"), [(128, 3000), (512, 256), (1024, 80)])
def test_batches_that_do_not_fit_at_once_take_several_launches(hidden, batch):
    layer = cells.LSTM(hidden)
    args = arguments(layer, jnp.dtype(jnp.bfloat16), batch)
    assert not _given_to_hoisted(layer, args)
    got = everything(layer, "persistent", args, {})
    wide = jax.tree.map(lambda a: a.astype(jnp.float64), args)
    assert_close(got, everything(layer, "autodiff", wide, {}), TOLERANCES["bfloat16"], "plain")


def _given_to_hoisted(layer, args):
    """Whether a layer, or a part of one, does not fit on the chip."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        jax.eval_shape(lambda *a: unroll(layer, *a, strategy="persistent"), *args)
    return bool(found)


ONE_GRADIENT_AFTER_ANOTHER = """
import jax, jax.numpy as jnp, numpy as np
from rnnlab import cells, unroll
for hidden, batch in ((128, 32), (768, 16)):
    cell = cells.LSTM(hidden)
    params = cell.init(jax.random.key(0), 64, jnp.bfloat16)
    xs = jax.random.normal(jax.random.key(1), (100, batch, 64), jnp.bfloat16)
    loss = lambda p, x: unroll(cell, p, x, strategy="persistent")[1].astype(jnp.float32).sum()
    run = jax.jit(jax.grad(loss))
    first = [np.asarray(a, np.float32) for a in jax.tree.leaves(run(params, xs))]
    for _ in range(1000):
        last = run(params, xs)
    for a, b in zip(first, jax.tree.leaves(last)):
        np.testing.assert_array_equal(a, np.asarray(b, np.float32))
print("same bits")
"""

KEEP_BUSY = """
import jax, jax.numpy as jnp
a = jnp.ones((8192, 8192), jnp.bfloat16)
run = jax.jit(lambda a: (a @ a) * 1e-4)
print("busy", flush=True)
while True:
    a = run(a)
    jax.block_until_ready(a)
"""


def start(code):
    """A process of its own on the GPU."""
    environment = os.environ | {"JAX_PLATFORMS": "", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("others", [0, 1])
def test_a_thousand_gradients_have_the_same_bits_also_beside_another_program(others):
    busy = [start(KEEP_BUSY) for _ in range(others)]
    try:
        for each in busy:
            assert each.stdout.readline().startswith("busy")
        done, _ = start(ONE_GRADIENT_AFTER_ANOTHER).communicate(timeout=LIMIT)
        assert "same bits" in done, done
    finally:
        for each in busy:
            each.kill()
            each.communicate()


def test_several_streams_finish():
    cell = cells.LSTM(768)
    args = arguments(cell, jnp.bfloat16, batch=16, steps=50)

    @jax.jit
    def run(params, xs, state):
        losses = [
            unroll(cell, params, sign * xs, state, strategy="persistent")[1]
            .astype(jnp.float32)
            .sum()
            for sign in (1, -1)
        ]
        return losses[0] + losses[1]

    jax.block_until_ready(jax.grad(run)(*args))


def test_long_sequences_run_in_several_blocks():
    cell = cells.Elman(64)
    params, xs, _ = arguments(cell, jnp.float32, batch=8, steps=200_000, features=4)
    grad = jax.grad(lambda p: unroll(cell, p, xs, strategy="persistent")[1][-1].sum())
    want = jax.grad(lambda p: unroll(cell, p, xs, strategy="hoisted")[1][-1].sum())
    for a, b in zip(jax.tree.leaves(grad(params)), jax.tree.leaves(want(params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
