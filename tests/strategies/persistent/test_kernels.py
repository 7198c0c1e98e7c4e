"""The kernels of `persistent`: run by Pallas' interpreter on a CPU, and lowered for a GPU.

On a GPU `test_on_gpu.py` runs them as they are.
"""

import dataclasses
import importlib.util
import pathlib
import subprocess
import sys
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import Bidirectional, Stack, cells, unroll
from rnnlab.cells import CELLS
from rnnlab.strategies import Persistent, StrategyWarning, autodiff, by_name, hoisted, supported
from rnnlab.strategies.persistent import pallas, plan
from rnnlab.strategies.persistent.weights import in_parts

NEEDS_PALLAS = pytest.mark.skipif(pallas.missing() is not None, reason=str(pallas.missing()))
INTERPRETED = Persistent(interpret=True)
#: One cell of each structure: one product, four, a constant, two stages, no product, a relu.
STRUCTURES = ("tanh", "lstm", "gru", "mut3", "additive", "relu")
DTYPES = ("float32", "bfloat16", "float16")
D, H, B, T = 3, 40, 5, 4
LENGTHS = np.array([4, 3, 0, 1, 4])
RESETS = np.zeros((T, B), bool)
RESETS[2, 0] = RESETS[1, 1] = RESETS[3, 4] = True
CALLS = {
    "plain": {},
    "lengths": {"lengths": LENGTHS},
    "resets": {"resets": RESETS},
    "reverse": {"lengths": LENGTHS, "resets": RESETS, "reverse": True},
}


def arguments(layer, dtype, batch=B):
    """Parameters without zeros, inputs and a state."""
    keys = iter(jax.random.split(jax.random.key(0), 999))
    move = lambda a: a + 0.1 * jax.random.normal(next(keys), a.shape, a.dtype)  # noqa: E731
    params = jax.tree.map(move, layer.init(next(keys), D, dtype))
    state = jax.tree.map(move, layer.initial_state((batch,), dtype))
    return params, jax.random.normal(next(keys), (T, batch, D), dtype), state


def everything(layer, strategy, args, call):
    """Final state, outputs, and the gradients of all arguments, in float64."""
    run = lambda *args: unroll(layer, *args, strategy=strategy, **call)  # noqa: E731
    out, pull = jax.vjp(run, *args)
    cotangent = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size)).reshape(a.shape), out)
    cotangent = jax.tree.map(lambda d, a: d.astype(a.dtype), cotangent, out)
    return jax.tree.map(lambda a: np.asarray(a, np.float64), (out, pull(cotangent)))


def check(layer, dtype, call, tolerance, batch=B):
    """That the kernels give what `autodiff` gives in float64, to a relative tolerance."""
    args = arguments(layer, jnp.dtype(dtype), batch)
    got = everything(layer, INTERPRETED, args, call)
    wide = jax.tree.map(lambda a: a.astype(jnp.float64), args)
    want = everything(layer, autodiff, wide, call)
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(want), strict=True
    ):
        scale = np.linalg.norm(b)
        assert np.linalg.norm(a - b) <= tolerance * scale + 1e-30, jax.tree_util.keystr(path)


#: Relative tolerance for each dtype; float32 is computed in three parts of bfloat16.
TOLERANCES = {"float32": 2e-6, "bfloat16": 3e-2, "float16": 4e-3}


@NEEDS_PALLAS
def test_values_and_gradients_in_float32_with_lengths_and_resets_read_backwards():
    check(CELLS["gru_reset_before"](H), "float32", CALLS["reverse"], TOLERANCES["float32"])


@NEEDS_PALLAS
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CELLS if name != "lstm_cell_norm"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_gradients_of_every_cell(name, dtype):
    if name == "lstm_fgr" and dtype == "float32":
        pytest.skip("its 13 recurrent matrices do not fit on the chip in float32")
    check(CELLS[name](H), dtype, {}, TOLERANCES[dtype])


@NEEDS_PALLAS
@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("call", [name for name in CALLS if name != "plain"])
def test_the_contract_of_sequences(name, call):
    check(CELLS[name](H), "float32", CALLS[call], TOLERANCES["float32"])


@NEEDS_PALLAS
@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_both_directions_and_stacks(call):
    both = Bidirectional(cells.GRU(H), cells.GRU(H))
    check(Stack((both, cells.LSTM(24))), "float32", CALLS[call], TOLERANCES["float32"])


@NEEDS_PALLAS
@pytest.mark.slow
def test_many_warpgroups_and_tiles_and_several_time_blocks(monkeypatch):
    module = sys.modules[Persistent.__module__]  # which the strategy hides by its name
    monkeypatch.setattr(module, "TIME_BLOCK_NUMBERS", 2 * 70 * 19)
    layer = cells.GRU(70)
    args = arguments(layer, jnp.dtype("float32"), batch=19)
    for call in ({}, {"lengths": np.arange(19) % 5}):
        got = everything(layer, INTERPRETED, args, call)
        want = everything(layer, hoisted, args, call)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-5), got, want)


@NEEDS_PALLAS
@pytest.mark.slow
def test_weights_that_registers_do_not_hold_lie_in_shared_memory(monkeypatch):
    """Some of them, and all."""
    for most in (100, 20):
        monkeypatch.setattr(plan, "MOST_REGISTERS", most)
        check(cells.LSTM(H), "float32", {}, TOLERANCES["float32"])


@NEEDS_PALLAS
@pytest.mark.slow
def test_vmap_over_parameters_inputs_and_states():
    layer = cells.LSTM(H)
    args = arguments(layer, jnp.dtype("float32"))
    twice = jax.tree.map(lambda a: jnp.stack([a, -a]), args)

    def loss(strategy):
        return lambda *args: jnp.sin(unroll(layer, *args, strategy=strategy)[1]).sum()

    got, want = (jax.vmap(jax.grad(loss(s), (0, 1, 2)))(*twice) for s in (INTERPRETED, "autodiff"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5), got, want)


@NEEDS_PALLAS
@pytest.mark.slow
def test_the_same_call_gives_the_same_bits():
    args = arguments(cells.LSTM(H), jnp.dtype("bfloat16"))
    first, second = (everything(cells.LSTM(H), INTERPRETED, args, {}) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)


@dataclasses.dataclass(frozen=True)
class OnGpu(Persistent):
    """The strategy as on a GPU that it runs on."""

    def _reason(self):
        return None


@NEEDS_PALLAS
@pytest.mark.parametrize("name", [name for name in CELLS if name != "lstm_cell_norm"])
def test_every_cell_is_lowered_for_a_gpu(name):
    layer = CELLS[name](64)
    shape = jax.ShapeDtypeStruct
    params = jax.eval_shape(lambda: layer.init(jax.random.key(0), D, jnp.bfloat16))
    flags = shape((9,), jnp.int32), shape((T, 9), jnp.bool_)

    def loss(params, xs, lengths, resets):
        flags = {"lengths": lengths, "resets": resets}
        _, ys = unroll(layer, params, xs, strategy=OnGpu(), **flags)
        return ys.astype(jnp.float32).sum()

    traced = jax.jit(jax.grad(loss)).trace(params, shape((T, 9, D), jnp.bfloat16), *flags)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "rnnlab_forward" in text and "rnnlab_backward" in text


#: Steps of Elman networks with other functions than tanh.
FUNCTIONS = {
    "division": lambda h: h / (h + 3.0),
    "powers": lambda h: jax.lax.integer_pow(h, 3) + jax.lax.square(h),
    "roots": lambda h: jax.lax.sqrt(h + 3.0) + jax.lax.rsqrt(h + 4.0),
    "exponentials": lambda h: jnp.exp(h) + jnp.exp2(h) + jnp.log(h + 9.0) + jnp.log1p(h * h),
    "waves": lambda h: jnp.sin(h) + jnp.cos(h) + jnp.tan(h),
    "hyperbolic": lambda h: jnp.sinh(h) + jnp.cosh(h) + jnp.expm1(h),
    "comparisons": lambda h: jnp.where((h > 0.0) & (h < 1.0) | ~(h >= -1.0) | (h == 2.0), h, -h),
    "limits": lambda h: jnp.clip(h, -1.0, 1.0) + jnp.abs(h) + jax.lax.sign(h),
    "softplus": jax.nn.softplus,
    "elu": jax.nn.elu,
    "silu": jax.nn.silu,
    "mish": jax.nn.mish,
    "leaky_relu": jax.nn.leaky_relu,
    "hard_sigmoid": jax.nn.hard_sigmoid,
}


@dataclasses.dataclass(frozen=True)
class OwnElman(cells.Elman):
    """An Elman network with a function of one's own."""

    function: str = "elu"

    def step(self, params, x, state):
        h = FUNCTIONS[self.function](x @ params["wx"] + state.h @ params["wh"] + params["b"])
        return state._replace(h=h), h


@NEEDS_PALLAS
@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_of_cells_of_ones_own_are_lowered_for_a_gpu(function):
    layer = OwnElman(64, function=function)
    shape = jax.ShapeDtypeStruct
    params = jax.eval_shape(lambda: layer.init(jax.random.key(0), D, jnp.float32))

    def loss(params, xs):
        return unroll(layer, params, xs, strategy=OnGpu())[1].sum()

    traced = jax.jit(jax.grad(loss)).trace(params, shape((T, 9, D), jnp.float32))
    assert "rnnlab_backward" in traced.lower(lowering_platforms=("cuda",)).as_text()


@NEEDS_PALLAS
def test_an_operation_that_mosaic_does_not_lower_is_named(monkeypatch):
    monkeypatch.setitem(FUNCTIONS, "power", lambda h: jax.lax.pow(h + 3.0, h))
    args = arguments(OwnElman(8, function="power"), jnp.float32)
    with pytest.warns(StrategyWarning, match="has the operation pow, which Mosaic does not lower"):
        unroll(OwnElman(8, function="power"), *args, strategy=INTERPRETED)


@NEEDS_PALLAS
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("gpu", ["H100", "B200", "B300", "RTX PRO 6000"])
def test_every_cell_is_compiled_for_a_gpu(gpu, dtype):
    if importlib.util.find_spec("jax_cuda13_plugin") is None:
        pytest.skip("needs the CUDA compiler: pip install jax-cuda13-plugin and its like")
    script = pathlib.Path(__file__).with_name("compile_for_gpu.py")
    done = subprocess.run(
        [sys.executable, str(script), gpu, dtype],
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    lines = done.stdout.splitlines()
    too_large = [line for line in lines if line.startswith("not compiled")]
    if (gpu, dtype) == ("RTX PRO 6000", "float32"):  # with less than half of the shared memory
        assert len(too_large) == 1 and "lstm_fgr with 64 units" in too_large[0]
    else:
        assert not too_large
    assert sum("with 64 units" in line for line in lines) == len(CELLS) - 1
    assert sum("with 512 units" in line for line in lines) == 4


# What follows runs with any JAX.


@pytest.mark.parametrize("parts, error", [(1, 2**-9), (2, 2**-17), (3, 2**-24)])
def test_parts_stand_for_a_number_to_twice_and_three_times_the_bits(parts, error):
    a = jax.random.normal(jax.random.key(0), (4, 1000), jnp.float32)
    a = a.astype(jnp.bfloat16).astype(jnp.float32) if parts == 1 else a
    found = np.asarray(in_parts(a, parts).astype(jnp.float64)).sum(0)
    assert np.abs(found - np.asarray(a, np.float64)).max() <= error * np.abs(a).max()


@pytest.mark.parametrize("name", pallas.WRITTEN)
def test_operations_that_mosaic_does_not_know_are_written_with_others(name):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=200) * 10.0 ** rng.integers(-9, 1, 200), [0.0]])
    x = np.abs(x) if name == "log1p" else x
    expected = {
        "add_any": lambda x: x + x,
        "stop_gradient": lambda x: x,
        "copy": lambda x: x,
        "not": lambda x: x <= 0,
    }.get(name, getattr(np, name, None))
    count = 2 if name == "add_any" else 1
    operand = jnp.asarray(x > 0 if name == "not" else x)
    got = pallas.WRITTEN[name](*[operand] * count)
    np.testing.assert_allclose(got, expected(x), rtol=1e-9, atol=1e-16)


def test_without_a_gpu_hoisted_runs_instead_and_one_line_says_so():
    layer = cells.Elman(H)
    args = arguments(layer, jnp.float32)
    assert "persistent" not in supported(layer)
    with pytest.warns(StrategyWarning, match="Elman runs by 'hoisted', since .*(GPU|jax)") as found:
        got = unroll(layer, *args, strategy="persistent")
    assert len(found) == 1 and "\n" not in str(found[0].message)
    want = unroll(layer, *args, strategy="hoisted")
    jax.tree.map(np.testing.assert_array_equal, got, want)
    assert by_name("persistent").refuses(layer)


@pytest.mark.parametrize("capability, runs", [("8.0", 0), ("9.0", 1), ("10.3", 1), ("11.0", 0)])
def test_a_gpu_that_its_kernels_were_not_compiled_for_is_named(monkeypatch, capability, runs):
    module = sys.modules[Persistent.__module__]
    device = types.SimpleNamespace(device_kind="Some GPU", compute_capability=capability)
    monkeypatch.setattr(module, "default_device", lambda: device)
    monkeypatch.setattr(module, "on_cuda", lambda: True)
    monkeypatch.setattr(pallas, "missing", lambda: None)
    reason = Persistent().refuses(cells.LSTM(8))
    said = f"Some GPU has compute capability {capability}, its kernels were compiled for 9.0, "
    assert reason is None if runs else reason is not None and reason.startswith(said)


@NEEDS_PALLAS
@pytest.mark.parametrize(
    "layer, dtype, reason",
    [
        (cells.LSTM(600), "bfloat16", "600 units"),
        (cells.LSTM(256), "float32", "1536 KiB of weights"),
        (cells.LSTM(8), "float64", "float64"),
        (CELLS["lstm_cell_norm"](8), "float32", "reduce_sum mixes the units"),
    ],
)
def test_what_no_kernel_runs_is_given_to_hoisted_with_the_reason(layer, dtype, reason):
    args = arguments(layer, jnp.dtype(dtype))
    with pytest.warns(StrategyWarning, match=f"runs by 'hoisted', since .*{reason}"):
        jax.eval_shape(lambda *args: unroll(layer, *args, strategy=INTERPRETED), *args)


@NEEDS_PALLAS
def test_empty_batches_and_sequences_need_no_kernel():
    layer = cells.LSTM(H)
    params, xs, state = arguments(layer, jnp.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        final, ys = unroll(layer, params, xs[:0], state, strategy=INTERPRETED)
        assert ys.shape == (0, B, H)
        jax.tree.map(np.testing.assert_array_equal, final, state)
        none = jax.tree.map(lambda a: a[:0], state)
        assert unroll(layer, params, xs[:, :0], none, strategy=INTERPRETED)[1].shape == (T, 0, H)


@NEEDS_PALLAS
def test_forward_mode_and_second_derivatives_are_refused_as_by_hoisted():
    layer = cells.Elman(8)
    params, xs, _ = arguments(layer, jnp.float32)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda xs: unroll(layer, params, xs, strategy=INTERPRETED)[1], (xs,), (xs,))
