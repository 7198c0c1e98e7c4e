"""What was aimed at: aims, their verdicts, and the table of all machines."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmark import aims, config, peers
from experiments.benchmark.aims import RATIO, VERDICT, WHAT, overall, verdict
from experiments.benchmark.characters import MODES, in_torch, make_task, ours
from experiments.benchmark.config import Candidates, Config, Machines, Targets
from experiments.benchmark.notation import parse_layer, parse_shape
from experiments.benchmark.peers import PEERS
from experiments.benchmark.peers import torch as torch_peer
from experiments.benchmark.problem import GRADIENT
from experiments.benchmark.results import EACH_ROUND, LAYERS, MEDIAN, Table
from experiments.benchmark.suites import characters, machines, targets
from rnnlab.errors import UsageError


def row(candidate, median, **fields):
    times = {MEDIAN: median, EACH_ROUND: [median] * 4} if median else {}
    return {"candidate": candidate, "pass": GRADIENT, "note": ""} | times | fields


def test_aims_are_whole():
    assert {*aims.AIMS, aims.CHARACTERS} == set(config.AIMS)
    for name, aim in aims.AIMS.items():
        assert name.startswith(aim.device) and aim.dtype in config.DTYPES
        assert set(aim.peers) <= set(PEERS) and aim.title.startswith(aim.device.upper())
        for text in aim.shapes:
            assert aim.at(parse_shape("shapes", text)) > 0
        for layer in aim.layers:
            parse_layer(layer, 1)
    wide = aims.AIMS["gpu_jax"]
    shapes = (parse_shape("s", text) for text in ("1x1x1x256", "1x1x1x257"))
    assert [wide.at(shape) for shape in shapes] == [5, 3]


@pytest.mark.parametrize(("aim", "said"), [(1.5, "reached"), (2.5, "missed")])
def test_a_verdict_compares_the_fastest_with_the_fastest(aim, said):
    rows = [
        *(row("rnnlab auto", 3.0), row("rnnlab hoisted", 2.0), row("PyTorch bf16", 9.0)),
        *(row("PyTorch fp16", 4.0), row("Haiku", 1.0), row("Keras", None, note="no memory")),
    ]
    line = verdict("a", "b", rows, lambda name: name.startswith("PyTorch"), aim)
    assert line["fastest of ours"] == "hoisted, 2 ms"
    assert line["fastest opponent"] == "PyTorch fp16, 4 ms"
    assert line[RATIO] == 2 and line["ratio, 95 %"] == "2 … 2" and line[VERDICT] == said
    disturbed = [each | {"note": "heat"} for each in rows]
    line = verdict("a", "b", disturbed, lambda name: name.startswith("PyTorch"), aim)
    assert line[VERDICT] == f"{said} (heat)"


def test_a_verdict_says_why_there_is_none():
    rows = [row("rnnlab auto", 3.0), row("Keras", None, note="is not installed")]
    missing = verdict("a", "b", rows, lambda name: name == "Keras", 1.0)
    assert missing[VERDICT] == "not measured: no opponent (Keras: is not installed)"
    assert verdict("a", "b", rows, lambda _: False, 1.0)[VERDICT].endswith(
        "no opponent has this layer"
    )
    rows = [row("rnnlab auto", None, note="disagrees"), row("Keras", 1.0)]
    missing = verdict("a", "b", rows, lambda name: name == "Keras", 1.0)
    assert missing[VERDICT] == "not measured: none of ours (rnnlab auto: disagrees)"


def test_an_aim_has_a_line_over_all_of_its_shapes():
    def line(ratio, said):
        return {WHAT: "a", "where": "b", RATIO: ratio, VERDICT: said}

    lines = [line(1.0, "reached"), line(1.6, "reached"), line(1.4, "reached")]
    found = overall("a", lines, "1", 1.3)
    assert found["where"] == "all 3: median 1.4, least 1" and found[VERDICT] == "reached"
    assert found["at least"] == "each 1, median 1.3"
    assert overall("a", lines, "1", 1.5)[VERDICT] == "missed (the median is below its aim)"
    assert overall("a", [*lines, line(0.9, "missed")], "1", 1.0)[VERDICT].startswith(
        "missed (1 of 4"
    )
    assert overall("a", [], "1", None)[VERDICT] == "not measured"


@pytest.fixture
def measured(monkeypatch):
    """Problems as they are measured, and times that are made up."""
    found = []

    def measure(problem, candidates, passes, settings, peak):
        found.append(str(problem))
        return [row(name, 2.0 + (not name.startswith("rnnlab"))) for name in candidates]

    def gather(problem, strategies, peers):
        ours = ["rnnlab autodiff"] if not peers else []
        left = {"candidate": "Keras", "layer": problem.name, "reason": "is not installed"}
        return [*ours, "rnnlab auto", *(peer.name for peer in peers if peer.applies(problem))], [
            left
        ]

    monkeypatch.setattr(targets, "measure", measure)
    monkeypatch.setattr(targets, "gather", gather)
    monkeypatch.setattr(targets.jax, "clear_caches", lambda: None)
    return found


def table_of(settings):
    *_, last = (found for found in targets.run(settings) if isinstance(found, Table))
    assert last.title == targets.TITLE and last.complete
    return last.rows


def test_a_cpu_measures_its_aims_and_skips_those_of_a_gpu_in_a_line_each(measured):
    rows = table_of(Config(suites=("targets",)))
    skipped = [each for each in rows if each[VERDICT] == "skipped: this is a cpu"]
    assert [each[WHAT] for each in skipped] == [
        aims.AIMS[name].title if name in aims.AIMS else aims.CHARACTERS_TITLE
        for name in config.AIMS
        if name.startswith("gpu")
    ]
    assert len(measured) == len(set(measured)) == 25  # what two aims share is measured once
    against = {each["fastest opponent"] for each in rows if "fastest opponent" in each}
    assert against == {"Flax Linen, 3 ms", "PyTorch, 3 ms"}
    jax_peers, torch = (each for each in rows if each.get("where", "").startswith("all"))
    assert jax_peers["where"] == "all 25: median 1.5, least 1.5" and jax_peers[VERDICT] == "reached"
    assert torch["where"].startswith("all 3:")


def test_a_gpu_measures_all_of_its_aims(measured, monkeypatch):
    monkeypatch.setattr(targets, "device_kind", lambda: "gpu")
    monkeypatch.setattr(targets, "chosen", lambda names: list(PEERS.values()))
    monkeypatch.setattr(
        characters, "measure", lambda *_: [row("rnnlab auto", 2.0), row("PyTorch bf16", 3.0)]
    )
    rows = table_of(Config(suites=("targets",)))
    whole = {each[WHAT]: each for each in rows if each.get("where", "").startswith("all")}
    # Four layers at five shapes in bfloat16, of which one is among the other cells; float32.
    assert len(whole) == 5 and len(measured) == 4 * 5 + (len(aims.OTHER_CELLS) - 1) + 3 * 5
    assert whole[aims.CHARACTERS_TITLE][VERDICT] == "reached"
    assert whole[aims.AIMS["gpu_cudnn"].title]["where"] == "all 15: median 1.5, least 1.5"
    assert whole[aims.AIMS["gpu_float32"].title][VERDICT] == "reached"
    assert whole[aims.AIMS["gpu_jax"].title][VERDICT].startswith("missed (20 of 20")
    against = {each[WHAT]: each.get("fastest opponent") for each in rows if RATIO in each}
    assert against[aims.AIMS["gpu_cells"].title] == "rnnlab autodiff, 2 ms"
    assert sum(each[VERDICT] == "skipped: this is a gpu" for each in rows) == 2


def test_flags_choose_aims_layers_and_shapes(measured):
    asked = Targets(aims=("cpu_torch",), only_shapes=("2x3x4x5", "2x3x4x6"))
    rows = table_of(Config(suites=("targets",), targets=asked))
    assert measured == ["lstm, 2x3x4x5, float32", "lstm, 2x3x4x6, float32"] and len(rows) == 3
    measured.clear()
    asked = Targets(aims=("cpu_torch",), only_layers=("tanh",))
    (line,) = table_of(Config(suites=("targets",), targets=asked))
    assert not measured and line[VERDICT] == "not measured"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Targets(aims=("tpu",)), "aims=tpu: no such aim"),
        (lambda: Targets(only_shapes=("3",)), "only_shapes='3': must be written BxTxDxH"),
        (lambda: Candidates(repeats=-1), "repeats=-1: must be at least 0"),
        (lambda: Candidates(queued=0), "queued=0: must be at least 1"),
        (lambda: Config(suites=("machines",)), "suites=machines: reads what was measured before"),
    ],
)
def test_settings_that_do_not_fit_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_results_of_several_machines_are_in_one_table(tmp_path):
    names = {"layer": "lstm", "shape": "2x3x4x5", "dtype": "float32"}
    rows = [
        row(
            "rnnlab auto",
            3.0,
            **names,
            **{"× best JAX peer": 2.0, "× best JAX peer, 95 %": "1 … 3"},
        ),
        *(row("rnnlab autodiff", 4.0, **names), row("Haiku", 1.0, **names)),
    ]
    line = {WHAT: "a", "where": "b", RATIO: 2.0, VERDICT: "reached"}
    for name, more in (("first", {"date": "2026-01-01", "command": "run.py"}), ("cpu (cpu)", {})):
        machine = {"device": name, "processor": "P", "cores": 2, "versions": {"jax": "1"}} | more
        tables = {LAYERS: rows, targets.TITLE: [line]}
        (tmp_path / name).mkdir()
        text = json.dumps({"machine": machine, "tables": tables})
        (tmp_path / name / "results.json").write_text(text)
    paths = (str(tmp_path / "first"), str(tmp_path / "cpu (cpu)/results.json"))
    found = machines.run(Config(suites=("machines",), machines=Machines(paths)))
    described, layers, aims = (table.rows for table in found)
    assert [each["machine"] for each in described] == ["1: first", "2: P (cpu)"]
    assert described[0]["date"] == "2026-01-01" and described[0]["command"] == "run.py"
    assert described[1]["date"] == "not recorded"
    assert [each["machine"] for each in layers] == ["1: first", "2: P (cpu)"]
    assert layers[0]["fastest of ours"] == "auto" and layers[0]["× best JAX peer"] == "2 (1 … 3)"
    assert [each[VERDICT] for each in aims] == ["reached"] * 2


@pytest.mark.parametrize(
    ("text", "message"), [(None, "cannot be read"), ("{", "not JSON"), ("{}", "is no results.json")]
)
def test_what_is_no_result_of_the_benchmark_is_refused(text, message, tmp_path):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(UsageError, match=message):
        machines.read(str(tmp_path))


@pytest.mark.slow
def test_the_aims_of_a_gpu_are_measured_at_toy_size(monkeypatch):
    """A CPU takes its place; PyTorch has all four arithmetics there too."""
    pytest.importorskip("torch")
    monkeypatch.setattr(targets, "device_kind", lambda: "gpu")
    for module in (peers, torch_peer, characters):
        monkeypatch.setattr(module, "on_gpu", lambda: True)
    monkeypatch.setattr(torch_peer, "device_of", lambda torch: "cpu")
    tiny = benchmark.PRESETS["tiny"]
    names = ("linen", "torch", "haiku")
    asked = dataclasses.replace(
        tiny,
        suites=("targets",),
        candidates=dataclasses.replace(tiny.candidates, peers=names),
        targets=Targets(only_layers=("lstm", "mgu"), only_shapes=("2x4x3x5",)),
    )
    rows = table_of(asked)
    ratios = {(line[WHAT], line["where"]): line for line in rows if RATIO in line}
    titles = {name: aim.title for name, aim in aims.AIMS.items()}
    where = "lstm 2x4x3x5"
    assert {key for key in ratios if key[0] != aims.CHARACTERS_TITLE} == {
        *((titles[name], where) for name in ("gpu_cudnn", "gpu_jax", "gpu_float32")),
        (titles["gpu_cells"], "mgu 2x4x3x5"),
    }
    models = [key[1] for key in ratios if key[0] == aims.CHARACTERS_TITLE]
    assert {"float32", "tf32"} <= set(models)
    assert ratios[titles["gpu_float32"], where]["fastest opponent"].startswith("PyTorch fp32")


@pytest.mark.slow
def test_pytorch_makes_the_same_updates_of_the_character_model():
    pytest.importorskip("torch")
    settings = dataclasses.replace(benchmark.PRESETS["tiny"].characters, updates=6)
    task = make_task(settings, MODES["float32"])
    assert task.symbols == 6 * 3 * 4 and task.windows.first.tolist() == [True] + [False] * 5
    losses = ours(task, "autodiff").result
    assert len(losses) == 6
    np.testing.assert_allclose(in_torch(task).result, losses, rtol=1e-5)
    reduced = make_task(settings, MODES["bfloat16"])
    np.testing.assert_allclose(ours(reduced, "hoisted").result, losses, rtol=5e-2)
