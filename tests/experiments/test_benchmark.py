"""The suites of the benchmark over layers: what they write, whom they refuse, how they agree."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import (
    _benchmark_allocator,
    _benchmark_auto,
    _benchmark_layers,
    _benchmark_layers_summary,
    _benchmark_peers,
    _benchmark_scaling,
    _benchmark_timing,
    benchmark,
)
from experiments._benchmark_layers_summary import MEDIAN
from experiments._benchmark_problem import (
    FORWARD,
    GRADIENT,
    GRADIENT_INPUTS,
    PASSES,
    JaxCandidate,
    Problem,
    Shape,
    ours,
    parse_layer,
    run_ours,
)
from rnnlab.errors import UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.strategies.auto import Entry, read
from tests import quick

TINY = {"turns": 3, "seconds": 0.05, "base": "2x6x3x4", "shapes": ("2x4x3x5",)}

#: What the peers compute: a pile where the peer itself stacks and for one that does not, and the
#: GRU for one that has not all of its biases.
BOTH_WAYS = Problem("lstm:bi", Shape(2, 3, 4, 5), "float32")
PILE = Problem("lstm:bi:2", Shape(2, 3, 4, 5), "float32")
PROBLEMS = {
    "Flax Linen": PILE,
    "PyTorch": PILE,
    "cuDNN (jax.experimental.rnn)": PILE,
    "Flax NNX": Problem("gru", Shape(2, 3, 4, 5), "float32"),
}


@pytest.fixture(autouse=True)
def quick_programs(monkeypatch):
    """Programs that compile fast and run slowly; what they compute is the same."""
    monkeypatch.setattr(_benchmark_timing, "jit", quick.jit)


@pytest.fixture
def fast(monkeypatch):
    """One strategy and two peers, no large product, and caches kept: little is compiled."""
    monkeypatch.setattr(jax, "clear_caches", lambda: None)
    peers = (_benchmark_peers.Linen(), _benchmark_peers.Haiku())
    monkeypatch.setattr(_benchmark_layers, "PEERS", peers)
    monkeypatch.setattr(_benchmark_layers, "STRATEGIES", {"autodiff": None})
    for module in (_benchmark_auto, _benchmark_layers, _benchmark_scaling):
        monkeypatch.setattr(module, "matrix_product_peak", lambda dtype: 100.0)


def run(tmp_path, **settings):
    config = benchmark.Config(**(TINY | settings))
    with open_workdir(tmp_path / "run", "benchmark", config) as workdir:
        benchmark.run(config, workdir)
    return json.loads((tmp_path / "run/results.json").read_text())


def test_layers_writes_rows_summary_reasons_and_a_picture(fast, tmp_path):
    results = run(tmp_path, suites=("layers",), layers=("tanh",), dtypes=("float32",))
    rows = results["tables"]["Layers"]
    assert {row["pass"] for row in rows} == set(PASSES)
    assert {row["candidate"] for row in rows} == {"rnnlab autodiff", "Flax Linen"}
    for row in rows:
        assert row["shape"] == "2x4x3x5" and row["note"] == "" and row["difference"] < 1e-4
        assert 0 < row["lower quartile (ms)"] <= row["median (ms)"] <= row["upper quartile (ms)"]
        assert row["rounds"] == 3 and row["first (s)"] * 1e3 > row["median (ms)"]
    reason = "Haiku has relu only" if importlib.util.find_spec("haiku") else "is not installed"
    assert reason in results["tables"]["Layers: left out"][0]["reason"]
    assert results["machine"]["allocator"]["setting"] == "default"
    assert results["machine"]["versions"]["flax"]
    report = (tmp_path / "run/report.html").read_text()
    assert "smallest ratio" in report and "data:image/png" in report


def test_scaling_writes_exponents_of_time_and_memory(fast, tmp_path, monkeypatch):
    monkeypatch.setattr(_benchmark_scaling, "AXES", {"T": "time"})
    monkeypatch.setattr(_benchmark_scaling, "LAYER", "tanh")
    results = run(tmp_path, suites=("scaling",), points=2)
    rows = results["tables"]["Scaling: exponents"]
    assert {row["against"] for row in rows} == {"T", "depth"}
    assert {row["candidate"] for row in rows} == {"rnnlab autodiff", "Flax Linen"}
    powers = [row["temporaries (MiB)"] for row in rows]
    assert all(0 < power < 2 for power in powers)


def test_auto_writes_a_table_that_the_strategy_reads(fast, tmp_path, monkeypatch):
    monkeypatch.setattr(_benchmark_auto, "CELLS", ("tanh",))
    monkeypatch.setattr(_benchmark_auto, "ROWS", (2,))
    monkeypatch.setattr(_benchmark_auto, "HIDDEN", (3,))
    monkeypatch.setattr(_benchmark_auto, "STEPS", 4)
    monkeypatch.setattr(_benchmark_auto, "table", lambda: (Entry("tpu", 4, 1, 2, "a", "b"),))
    run(tmp_path, suites=("auto",))
    other, mine = read((tmp_path / "run/auto.tsv").read_text().splitlines())
    assert other == Entry("tpu", 4, 1, 2, "a", "b")  # entries of other backends stay
    assert mine[:4] == (jax.default_backend(), 1, 2, 3)
    assert {mine.forward, mine.gradient} <= {"autodiff", "hoisted"}


@pytest.mark.parametrize(("hoisted", "chosen"), [(0.97, "autodiff"), (0.9, "hoisted")])
def test_another_strategy_must_be_well_below_the_plain_one(hoisted, chosen):
    times = {"rnnlab autodiff": 1.0, "rnnlab hoisted": hoisted}
    rows = [{"pass": FORWARD, "candidate": n, MEDIAN: ms} for n, ms in times.items()]
    assert _benchmark_auto._fastest(rows, FORWARD) == chosen


def test_what_was_measured_survives_an_interruption(fast, tmp_path, monkeypatch):
    measure = _benchmark_layers.measure

    def interrupt(problem, *rest):
        if problem.name == "lstm":
            raise KeyboardInterrupt
        return measure(problem, *rest)

    monkeypatch.setattr(_benchmark_layers, "measure", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, suites=("layers",), layers=("tanh", "lstm"), dtypes=("float32",))
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert {row["layer"] for row in results["tables"]["Layers"]} == {"tanh"}


def test_rows_say_why_a_candidate_has_no_time():
    problem = Problem("tanh", Shape(2, 4, 3, 5), "float32")
    right = partial(run_ours, problem.layer, "autodiff")

    def exhausted(params, xs):
        raise MemoryError("4 TiB asked for")

    candidates = [
        ours(problem, "autodiff"),
        JaxCandidate("doubled", problem, lambda params, xs: 2 * right(params, xs)),
        JaxCandidate("wide", problem, lambda params, xs: right(params, xs).astype(jnp.float64)),
        JaxCandidate("large", problem, exhausted),
        ours(problem, "no such"),
    ]
    config = benchmark.Config(**TINY)
    rows = _benchmark_layers.measure(problem, candidates, (FORWARD,), config, 100.0)
    notes = {row["candidate"]: row["note"] for row in rows}
    assert notes["rnnlab autodiff"] == ""
    assert notes["doubled"] == "disagrees by 1, not timed"
    assert notes["wide"] == "TypeError: returns float64 for float32"
    assert notes["large"] == "out of memory (4 TiB asked for)"
    assert notes["rnnlab no such"].startswith("strategy='no such': unknown")
    assert [row["candidate"] for row in rows if "median (ms)" in row] == ["rnnlab autodiff"]


@pytest.mark.peers
@pytest.mark.parametrize("peer", _benchmark_peers.PEERS, ids=lambda peer: peer.name)
def test_peers_compute_gradients_of_our_parameters(peer, monkeypatch, tmp_path):
    """And of the inputs, in a layer in which order and direction matter."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    problem = PROBLEMS.get(peer.name, BOTH_WAYS)
    try:
        _benchmark_peers.check_version(peer)
        candidate = peer.candidate(problem)
    except UsageError as error:
        pytest.skip(str(error))
    result = candidate.program(GRADIENT_INPUTS).result
    assert problem.difference(candidate, GRADIENT_INPUTS, result) < 1e-4


def test_the_reference_is_the_gradient_by_finite_differences():
    problem = Problem("gru", Shape(2, 3, 4, 5), "float32")
    _, d_params, d_xs = problem.reference
    direction = np.random.default_rng(0).normal(size=d_xs.shape)
    params, xs = jax.tree.map(np.float64, (problem.params, problem.xs))
    apply = quick.jit(partial(run_ours, problem.layer, "autodiff"))

    def loss(eps):
        return float((np.asarray(apply(params, xs + eps * direction)) * problem.readout).sum())

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    np.testing.assert_allclose(slope, (d_xs * direction).sum(), rtol=1e-7)
    assert set(d_params) == {"wx", "wh", "b", "bh"}


def test_a_peer_of_another_version_is_refused(monkeypatch):
    linen = _benchmark_peers.Linen()
    for version in ("0.9.0", "0.13.0", "9"):
        monkeypatch.setattr("importlib.metadata.version", lambda package, v=version: v)
        with pytest.raises(UsageError, match=rf"flax {version} is not among .* >=0.10,<0.13"):
            _benchmark_peers.check_version(linen)
    monkeypatch.setattr(linen, "package", "no-such-package", raising=False)
    monkeypatch.undo()
    linen.package = "no-such-package"
    with pytest.raises(UsageError, match=r"is not installed; pip install 'rnnlab\[peers\]'"):
        _benchmark_peers.check_version(linen)


@pytest.mark.parametrize(
    ("layer", "parameters"), [("lstm", 1), ("gru:bi", 2), ("tanh:3", 3), ("lstm:bi:2", 4)]
)
def test_layers_are_written_by_cell_direction_and_depth(layer, parameters):
    drawn = jax.eval_shape(lambda: parse_layer(layer, 5).init(jax.random.key(0), 3))
    names = [path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(drawn)]
    assert names.count("wx") == parameters


def test_flops_count_the_matrix_products():
    shape = Shape(batch=2, time=3, features=5, hidden=7)
    stacked = Problem("lstm:2", shape, "float32")
    first, second = (5 + 7) * 28, (7 + 7) * 28
    assert stacked.flops(FORWARD) == 2 * 2 * 3 * (first + second)
    assert stacked.flops(GRADIENT_INPUTS) == 3 * stacked.flops(FORWARD)
    assert stacked.flops(GRADIENT_INPUTS) - stacked.flops(GRADIENT) == 2 * 2 * 3 * 5 * 28
    both = Problem("tanh:bi", shape, "float32")
    assert both.flops(FORWARD) == 2 * 2 * 3 * 2 * (5 + 7) * 7


def test_the_summary_is_the_smallest_of_the_best():
    def row(shape, candidate, median):
        names = {"layer": "lstm", "shape": shape, "pass": GRADIENT, "note": ""}
        return names | {"candidate": candidate, "median (ms)": median}

    large, small = "2x4x3x128", "1x4x3x512"
    rows = [
        *_benchmark_layers_summary.with_ratios(
            [
                row(large, "rnnlab hoisted", 2.0),
                row(large, "rnnlab auto", 4.0),
                row(large, "Flax Linen", 6.0),
                row(large, "PyTorch", 1.0),
            ]
        ),
        *_benchmark_layers_summary.with_ratios(
            [row(small, "rnnlab hoisted", 5.0), row(small, "Haiku", 8.0), row(small, "Keras", 9.0)]
        ),
    ]
    best, auto = _benchmark_layers_summary.summary(rows)
    aims = "gradient, against the best JAX peer", "gradient, against PyTorch"
    assert best[f"{aims[0]}, H ≥ 128"] == f"3.00 at {large}"
    assert best[f"{aims[1]}, H ≥ 128"] == f"0.50 at {large}"
    assert best[f"{aims[0]}, B = 1 or H ≤ 64"] == f"1.60 at {small}"
    assert auto[f"{aims[0]}, H ≥ 128"] == f"1.50 at {large}"
    assert auto[f"{aims[0]}, B = 1 or H ≤ 64"] == "–"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("layers", ("lstm:x",), "layers='lstm:x': must be written CELL"),
        ("layers", ("lstn",), "cell='lstn': unknown, did you mean 'lstm'"),
        ("shapes", ("32x128",), "shapes='32x128': must be written BxTxDxH"),
        ("base", "0x1x1x1", "base='0x1x1x1'"),
        ("dtypes", ("float16",), "dtypes='float16': unknown, choose among float32, bfloat16"),
        ("cells", ("elman",), "cells='elman': unknown"),
        ("suites", ("layer",), "suites='layer': unknown, choose among layers"),
        ("allocator", "jemalloc", "allocator='jemalloc': unknown, choose among default"),
        ("seconds", 0.0, "seconds=0.0: must be positive"),
    ],
)
def test_settings_that_do_not_fit_are_refused(field, value, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        benchmark.Config(**{field: value})


def test_the_allocator_needs_a_recent_glibc(monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    with pytest.raises(UsageError, match=r"allocator='hugepages': needs glibc 2\.35"):
        _benchmark_allocator.require("hugepages")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    with pytest.raises(UsageError, match=r"GLIBC_TUNABLES=glibc\.malloc\.arena_max=2"):
        _benchmark_allocator.require("hugepages")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_the_process_starts_itself_again_under_the_allocator():
    code = (
        "from experiments import _benchmark_allocator as a; a.require('hugepages'); "
        "print(a.describe('hugepages')['GLIBC_TUNABLES'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [_benchmark_allocator.TUNABLES["hugepages"]]
