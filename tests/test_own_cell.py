"""A cell of ten lines in a file outside the package does all that the library's own cells do."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab import cells, gradients, strategies, sweep
from rnnlab.combinators import (
    Bidirectional,
    LayerNorm,
    Residual,
    Stack,
    VariationalDropout,
    Zoneout,
)
from rnnlab.errors import UsageError
from rnnlab.strategies import StrategyWarning, Truncated, supported
from rnnlab.trained import TextModel, load
from rnnlab.unroll import step, unroll
from tests import own_cell, quick

ROOT = pathlib.Path(__file__).parents[1]
T, B, D, H = 9, 3, 4, 5
#: The strategies that need no GPU.
RUN_HERE = supported(cells.Elman(H))
LENGTHS = np.array([9, 4, 0])
RESETS = np.zeros((T, B), bool)
RESETS[3, 0] = RESETS[2, 1] = True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    own_cell.write(folder)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="module", params=["MyCell", pytest.param("MyNNX", marks=pytest.mark.slow)])
def name(request, folder):
    return f"my_package.my_module:{request.param}"


@pytest.fixture(scope="module")
def any_cell(name):
    return cells.by_name(name, H)


@pytest.fixture(scope="module")
def cell(folder):
    return cells.by_name("my_package.my_module:MyCell", H)


def arguments(cell, features=D):
    keys = jax.random.split(jax.random.key(0))
    params = cell.init(keys[0], features, jnp.float64)
    return params, jax.random.normal(keys[1], (T, B, features), jnp.float64)


def by_hand(params, xs, lengths=None, resets=None, reverse=False):
    """The equation in NumPy, row by row."""
    wx, wh = np.asarray(params["wx"]), np.asarray(params["wh"])
    ys = np.zeros((T, B, H))
    final = np.zeros((B, H))
    for row in range(B):
        length = T if lengths is None else lengths[row]
        starts = [0] if resets is None else sorted({0, *np.flatnonzero(resets[:length, row])})
        for start, end in zip(starts, [*starts[1:], length], strict=True):
            h = np.zeros(H)
            times = range(start, end)
            for time in reversed(times) if reverse else times:
                h = 0.5 * h + 0.5 * np.tanh(np.asarray(xs)[time, row] @ wx + h @ wh)
                ys[time, row] = h
            final[row] = h
    return final, ys


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("strategy", [*RUN_HERE, Truncated(4)], ids=str)
def test_every_strategy_gives_the_equation(cell, strategy, reverse):
    params, xs = arguments(cell)
    flags = {"lengths": LENGTHS, "resets": RESETS, "reverse": reverse}
    state, ys = quick.jit(lambda p, x: unroll(cell, p, x, strategy=strategy, **flags))(params, xs)
    final, expected = by_hand(params, xs, **flags)
    np.testing.assert_allclose(ys, expected, atol=1e-13)
    np.testing.assert_allclose(state.h, final, atol=1e-13)


@pytest.mark.parametrize("strategy", [name for name in RUN_HERE if name != "autodiff"])
def test_gradients_are_those_of_the_plain_scan_of_the_step(any_cell, strategy):
    cell = any_cell
    params, xs = arguments(cell)

    def plain(params, xs):
        def body(state, x):
            return cell.step(params, x, state)

        return jnp.sin(jax.lax.scan(body, cell.initial_state((B,), xs.dtype), xs)[1]).sum()

    def ours(params, xs):
        return jnp.sin(unroll(cell, params, xs, strategy=strategy)[1]).sum()

    want = jax.grad(plain, (0, 1))(params, xs)
    got = jax.grad(ours, (0, 1))(params, xs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), got, want)


def test_cudnn_is_refused_with_the_strategies_that_run_it(any_cell):
    cell = any_cell
    params, xs = arguments(cell)
    assert "cudnn" not in strategies.supported(cell)
    with pytest.raises(UsageError, match=r"Cell is not LSTM.*use one of autodiff, hoisted"):
        unroll(cell, params, xs, strategy="cudnn")


def test_it_goes_into_stacks_both_directions_and_wrappers(cell):
    wrapped = Zoneout(LayerNorm(VariationalDropout(cell, 0.2, 0.2)), 0.1)
    layer = Stack((Bidirectional(cell, cell), cells.GRU(H), Residual(wrapped)))
    keys = jax.random.split(jax.random.key(1))
    params = layer.init(keys[0], D, jnp.float64)
    xs = jax.random.normal(keys[1], (T, B, D), jnp.float64)
    run = [unroll(layer, params, xs, strategy=s, key=keys[0]) for s in ("autodiff", "hoisted")]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), *run)
    assert run[0][1].shape == (T, B, H)


def test_it_streams(any_cell):
    cell = any_cell
    params, xs = arguments(cell)
    state = cell.initial_state((B,), jnp.float64)
    final, ys = unroll(cell, params, xs)
    for x, y in zip(xs, ys, strict=True):
        state, got = step(cell, params, x, state)
        np.testing.assert_allclose(got, y, atol=1e-14)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), state, final)


def test_its_gradients_are_measured(cell):
    params, xs = arguments(cell)
    profile = gradients.adjoint_profile(cell, params, xs)
    jacobian = gradients.state_jacobian(cell, params, xs, lengths=[T])
    assert profile.log10_joint.shape == (T + 1, B) and np.isfinite(profile.log10_joint).all()
    product = np.eye(H)
    h = np.zeros(H)
    for x in np.asarray(xs)[:, 0]:
        z = np.tanh(x @ np.asarray(params["wx"]) + h @ np.asarray(params["wh"]))
        product = (0.5 * np.eye(H) + 0.5 * np.asarray(params["wh"]) * (1 - z**2)).T @ product
        h = 0.5 * h + 0.5 * z
    sigma = np.linalg.svd(product, compute_uv=False)[0]
    np.testing.assert_allclose(np.ravel(jacobian.log10_sigma_max)[0], np.log10(sigma), atol=1e-10)
    assert np.isfinite(gradients.lyapunov_exponents(cell, params, xs).exponents).all()
    (name,) = gradients.recurrent_matrices(cell, params)
    assert name == "wh"


def test_a_sweep_measures_it_at_the_radius_asked_for(name):
    grid = sweep.Grid(
        cells=(name, "tanh"), scales=(0.5, 1.2), hidden=(H,), lengths=(2, 5), seeds=2, batch=2
    )
    result = sweep.run(grid)
    gates = gradients.recurrent_leaves(cells.by_name(name, 1)).gates
    assert gates == (("wh",) if name.endswith("MyCell") else tuple(f"h{g}.kernel" for g in "fgio"))
    for gate in gates:
        measured = result["spectral_radius"].sel(cell=name, gate=gate).squeeze()
        np.testing.assert_allclose(measured.transpose("radius", "seed"), [[0.5] * 2, [1.2] * 2])
    assert np.isfinite(result["log10_grad_state"]).all()
    assert np.isfinite(result["log10_grad_wh"].sel(cell=name)).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no_such_module:MyCell", "no module named 'no_such_module'; run from the folder"),
        ("my_package.my_module:Other", "my_package.my_module has no cell called 'Other'"),
        ("my_package.my_module:HiddenState", "lacks one of the methods init"),
        ("rnnlab:unroll", "makes no cell from a number of units alone .TypeError: unroll"),
        ("lstn", "did you mean 'lstm'.*or MODULE:NAME of a cell of your own"),
    ],
)
def test_names_that_name_no_cell(given, message, cell):
    with pytest.raises(UsageError, match=message):
        cells.by_name(given, 3)
    with pytest.raises(UsageError, match="has no such setting, only leak"):
        cells.by_name("my_package.my_module:MyCell", 3, forget_bias=1.0)


class _ForBatches(cells.Elman):
    """Written for a batch with one axis: a single sequence has no `x.shape[1]`."""

    def step(self, params, x, state):
        rows, features = x.shape
        h = jnp.tanh(x.reshape(rows, features) @ params["wx"] + state.h @ params["wh"])
        return cells.HiddenState(h), h


class _Printing(cells.Elman):
    """Has a side effect in its step."""

    def step(self, params, x, state):
        jax.debug.callback(lambda h: None, state.h)
        return super().step(params, x, state)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (_ForBatches(H), "its step cannot be traced for a single sequence"),
        (_Printing(H), "its step has side effects"),
    ],
)
def test_what_cannot_be_hoisted_runs_by_autodiff_and_says_why(cell, reason):
    params, xs = arguments(cell)
    with pytest.warns(StrategyWarning, match=f"{type(cell).__name__} runs by 'autodiff'.*{reason}"):
        got = unroll(cell, params, xs, strategy="hoisted")
    want = unroll(cells.Elman(H), params, xs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), got, want)


def run(folder, *flags):
    """`python run.py` in the folder of the user's file; returns what it printed."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *flags],
        **{"cwd": folder, "env": environment, "capture_output": True, "text": True, "timeout": 400},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_sweep_takes_both_from_the_command_line(folder):
    names = "my_package.my_module:MyCell,my_package.my_module:MyNNX"
    flags = ("--config.radii=0.5,1.0", "--config.lengths=2,5", "--config.hidden=4")
    flags += ("--config.seeds=2", f"--config.cells={names}", "--workdir=sweep")
    run(folder, "--experiment=gradient_norms", *flags)
    assert (folder / "sweep" / "report.html").exists()
    config = json.loads((folder / "sweep" / "config.json").read_text())["config"]
    assert config["cells"] == names.split(",")


@pytest.mark.parametrize(
    ("experiment", "flag"),
    [
        ("gradient_profiles", "cells"),
        ("jacobian_spectra", "cells"),
        ("lyapunov", "spectrum_cells"),
        ("precision", "cells"),
        ("memory_tasks", "networks"),
    ],
)
@pytest.mark.slow
def test_every_experiment_on_cells_takes_both(folder, experiment, flag):
    names = "my_package.my_module:MyCell,my_package.my_module:MyNNX"
    flags = ("--preset=tiny", f"--config.{flag}={names}", f"--workdir={experiment}")
    run(folder, f"--experiment={experiment}", *flags)
    assert (folder / experiment / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("work", ["MyCell", "MyNNX"])
def test_both_are_trained_from_the_command_line(folder, work):
    name = f"my_package.my_module:{work}"
    flags = ("--preset=tiny", f"--config.cell={name}", "--config.steps=40", f"--workdir={work}")
    run(folder, "--experiment=char_lm", *flags)
    rows = [json.loads(line) for line in (folder / work / "metrics.jsonl").read_text().splitlines()]
    losses = [row["evaluation"]["validation"] for row in rows if "evaluation" in row]
    assert losses[-1] < losses[0]
    model = load(folder / work)
    assert isinstance(model, TextModel)
    assert len(model.generate("", 5)) == 5
