"""What the suites write."""

from __future__ import annotations

import importlib.util
import json

import jax
import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmark import translators
from experiments.benchmark.config import SUITES as NAMES
from experiments.benchmark.problem import FORWARD, PASSES
from experiments.benchmark.results import MEDIAN
from experiments.benchmark.suites import SUITES, auto, layers, translation
from rnnlab.strategies.auto import Entry, read
from rnnlab.timing import Program


def test_every_suite_has_a_name_that_the_configuration_knows():
    assert tuple(SUITES) == NAMES


@pytest.mark.slow
def test_layers_writes_rows_summary_reasons_and_a_picture(run_suite, tmp_path, capsys):
    results = run_suite("layers")
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
    assert all(len(row["each round (ms)"]) == 3 for row in rows)
    intervals = [row["× best JAX peer, 95 %"] for row in rows if row["candidate"] != "Flax Linen"]
    assert len(intervals) == 3 and all("…" in interval for interval in intervals)
    assert "bootstrap over the rounds" in report and "each round (ms)" not in report
    printed = capsys.readouterr().out
    assert "The fastest gradient of tanh at 2x4x3x5, float32 on this machine is " in printed
    assert "tanh, 2x4x3x5, float32: milliseconds" in printed and "smallest ratio" in printed


@pytest.mark.slow
def test_cells_writes_how_many_times_faster_than_autodiff(run_suite, monkeypatch):
    monkeypatch.setattr("experiments.benchmark.suites.cells.matrix_product_peak", lambda _: 100.0)
    tables = run_suite("cells", cells=("tanh",))["tables"]
    assert all(row["× autodiff"] == 1 for row in tables["Cells at 2x4x3x5, float32"])
    (title,) = (title for title in tables if "how many times" in title)
    assert tables[title][0] == {"cell": "tanh", "pass": FORWARD, "autodiff": 1.0}


@pytest.mark.slow
def test_scaling_writes_exponents_of_time_and_memory(run_suite, tmp_path):
    results = run_suite("scaling", axes=("T", "depth"))
    rows = results["tables"]["Scaling: exponents"]
    assert {row["against"] for row in rows} == {"T", "depth"}
    assert {row["candidate"] for row in rows} == {"rnnlab autodiff", "Flax Linen"}
    powers = [row["temporaries (MiB)"] for row in rows]
    if jax.default_backend() == "cpu":  # elsewhere memory is allotted in larger pieces than these
        assert all(0 < power < 2 for power in powers)
    assert (tmp_path / "run/scaling.png").exists()


def test_auto_writes_a_table_that_the_strategy_reads(run_suite, tmp_path, monkeypatch):
    monkeypatch.setattr(auto, "table", lambda: (Entry("tpu", "float32", 4, 1, 2, "a", "b"),))
    run_suite("auto", hidden=(3,))
    other, mine = read((tmp_path / "run/auto.tsv").read_text().splitlines())
    assert other == Entry("tpu", "float32", 4, 1, 2, "a", "b")  # entries of other backends stay
    assert mine[:5] == (jax.default_backend(), "float32", 1, 2, 3)
    assert {mine.forward, mine.gradient} <= {"autodiff", "hoisted", "stepwise"}


@pytest.mark.parametrize(("hoisted", "chosen"), [(0.97, "autodiff"), (0.9, "hoisted")])
def test_another_strategy_must_be_well_below_the_plain_one(hoisted, chosen):
    times = {"rnnlab autodiff": 1.0, "rnnlab hoisted": hoisted}
    rows = [{"pass": FORWARD, "candidate": n, MEDIAN: ms} for n, ms in times.items()]
    assert auto.fastest(rows, FORWARD) == chosen
    instead = {"pass": FORWARD, "candidate": "rnnlab persistent", MEDIAN: 0.1, "instead": "hoisted"}
    assert auto.fastest([*rows, instead], FORWARD) == chosen


def test_sweep_compares_with_loops_over_its_points(run_suite):
    (rows,) = run_suite("sweep", rounds=1)["tables"].values()
    assert [row["candidate"] for row in rows][:2] == ["rnnlab sweep", "jit(grad) loop"]
    for row in rows[1:]:
        assert row["of"] == 1 * 2 * 2  # points, lengths, norms
        assert row["largest difference"] < 0.01


@pytest.mark.slow
def test_memory_measures_each_strategy_in_a_process(run_suite, monkeypatch):
    monkeypatch.setattr("experiments.benchmark.suites.memory.STRATEGIES", ("autodiff", "no such"))
    (rows,) = run_suite("memory")["tables"].values()
    right, wrong = rows
    assert right["gradient (MiB)"] > 0 and right["time (s)"] >= 0
    assert "strategy='no such': unknown" in wrong["gradient (MiB)"]


def test_stream_traces_a_step_once(run_suite, monkeypatch):
    monkeypatch.setattr("experiments.benchmark.suites.stream.STEPS", 10)
    (rows,) = run_suite("stream")["tables"].values()
    assert [row["cell"] for row in rows] == ["tanh", "gru", "lstm"]
    assert all(row["traces"] == 1 and row["µs a step"] > 0 for row in rows)


@pytest.mark.slow
def test_translation_compares_updates_and_counts_tokens(run_suite):
    (rows,) = run_suite("translation", model_strategies=("hoisted", "autodiff"))["tables"].values()
    assert [row["candidate"] for row in rows] == ["rnnlab hoisted", "rnnlab autodiff"] * 2
    assert [row["sentences"] for row in rows[1:3]] == [
        *("3 pairs, 4 and 5 steps", "3 pairs, up to 4 and 5 steps"),
    ]
    for row in rows:
        assert row["note"] == "" and row["difference of losses"] < 1e-5
        assert row["tokens/s"] > 0 and len(row["each round (ms)"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize("varied", [False, True])
def test_pytorch_makes_the_same_updates_of_the_translator(varied, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(translators, "COMPARED", 6)
    task = translators.make_task(benchmark.PRESETS["tiny"].translation, varied)
    source, target = task.batch.lengths
    assert task.symbols == 2 * 3 * 4 + 3 if not varied else sum(source) + sum(target) - 3
    assert (source[:-1] >= source[1:]).all() and (source < 4).any() == varied
    losses = translators.ours(task, "autodiff").result
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(translators.in_torch(task).result, losses, rtol=1e-5)


def test_candidates_that_disagree_are_not_timed(monkeypatch):
    made = {"rnnlab hoisted": [2.0, 1.0], "PyTorch": [2.0, 1.1]}
    makers = {n: lambda r=r: Program(lambda: r[0], 0.1, r) for n, r in made.items()}
    monkeypatch.setattr(translation, "candidates", lambda *_: makers)
    config = benchmark.PRESETS["tiny"]
    ours, torch = next(iter(translation.run(config))).rows
    assert ours["tokens/s"] > 0 and ours["difference of losses"] == 0
    assert torch["note"] == "disagrees by 0.1, not timed" and "tokens/s" not in torch


def test_what_was_measured_survives_an_interruption(run_suite, tmp_path, monkeypatch):
    measure = layers.measure

    def interrupt(problem, *rest):
        if problem.name == "lstm":
            raise KeyboardInterrupt
        return measure(problem, *rest)

    monkeypatch.setattr(layers, "measure", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_suite("layers", layers=("tanh", "lstm"))
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert {row["layer"] for row in results["tables"]["Layers"]} == {"tanh"}
    assert "Flax Linen" in (tmp_path / "run/report.html").read_text()
