"""The tiny setting as users run it; its numbers against what they follow from; resumption."""

import dataclasses
import math
from unittest import mock

import numpy as np
import pytest
import xarray as xr
from experiments._training import with_setting

from experiments import _memory_report, _populations, memory_tasks
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices, loop
from tests import quick

SMALL = memory_tasks.Config(
    networks=("additive", "gru"),
    tasks=("adding",),
    lengths=(4,),
    seeds=2,
    hidden=4,
    batch=4,
    steps=20,
    evaluate_every=10,
    evaluation_batch=16,
    chunk=10,
    strategy="autodiff",
)


def measure(folder, config=SMALL):
    with open_workdir(folder, "memory_tasks", config) as workdir:
        return memory_tasks.measure(config, workdir)


@pytest.fixture(scope="module", autouse=True)
def cheap_programs():
    """Less time to compile, more to run, the same numbers to rounding."""
    with mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options()):
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "w"
    config = memory_tasks.Config(tiny=True)
    with open_workdir(folder, "memory_tasks", config) as workdir:
        memory_tasks.run(config, workdir)
    return folder, results.load_dataset(folder / "results.nc")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "w"
    return folder, measure(folder)


def test_the_tiny_setting_writes_everything(tiny):
    folder, data = tiny
    made = {path.name for path in folder.iterdir()}
    assert made >= {"results.nc", "losses.png", "success.png", "report.html", "config.json"}
    assert (folder / "parity_running-6-gru/metrics.jsonl").exists()
    assert data.sizes == {"task": 1, "length": 1, "network": 2, "step": 4, "seed": 2} | {
        "test_length": 1
    }
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "right at 20" in page


def test_the_tiny_setting_learns(tiny):
    _, data = tiny
    parity = data.sel(task="parity_running", length=6, network="gru")
    start, end = parity.loss.isel(step=0), _populations.last(parity.loss.values)
    assert parity.baseline.item() == pytest.approx(math.log(2))
    assert bool((start > 0.9 * math.log(2)).all()) and end.min() < 0.2 * math.log(2)


def test_solved_is_the_first_evaluation_below_the_bar(tiny):
    _, data = tiny
    for part in _memory_report._each(data):
        for seed in data.seed.values:
            loss = part.loss.sel(seed=seed).values
            below = np.flatnonzero(loss < memory_tasks.TINY["solved"] * part.baseline.item())
            expected = data.step.values[below[0]] if len(below) else math.nan
            np.testing.assert_equal(part.solved_at.sel(seed=seed).item(), float(expected))
    rows = _memory_report.table(data)
    assert len(rows) == 2 and all("/2 (" in row["solved"] for row in rows)


def test_a_gradient_that_cannot_vanish(small):
    """The additive recurrence hands on every gradient: ‖∂L/∂s_0‖ of a unit readout is 1."""
    _, data = small
    additive = data.log10_gradient.sel(network="additive")
    np.testing.assert_allclose(additive, 0, atol=1e-6)
    assert bool((data.log10_gradient.sel(network="gru") < -0.1).all())


def test_a_run_that_is_stopped_continues_with_the_same_bits(small, tmp_path, monkeypatch):
    folder, whole = small
    original = loop._Run._measure

    def stop(self):
        original(self)
        if self._name == "adding-4-gru" and self._step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop._Run, "_measure", stop)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path / "w")
    monkeypatch.setattr(loop._Run, "_measure", original)
    assert [path.name for path in (tmp_path / "w/parts").iterdir()] == ["adding-4-additive.nc"]
    xr.testing.assert_identical(measure(tmp_path / "w"), whole)
    a, b = (root / "adding-4-gru/metrics.jsonl" for root in (folder, tmp_path / "w"))
    assert a.read_bytes() == b.read_bytes()


def test_seeds_that_diverge_are_a_result(tmp_path):
    config = dataclasses.replace(
        SMALL,
        networks=("linear",),
        lengths=(4,),
        optimiser="sgd",
        learning_rate=1e20,
        clip_norm=0.0,
    )
    data = measure(tmp_path / "w", config)
    assert bool((data.diverged_at >= 1).all()) and not np.isfinite(data.solved_at).any()
    (row,) = _memory_report.table(data)
    assert row["diverged"] == 2
    assert '"state": "done"' in (tmp_path / "w/status.json").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": ("lsmt",)}, "networks='lsmt': unknown, choose one of tanh_identity"),
        ({"networks": ()}, r"networks=\(\)"),
        ({"tasks": ("add",)}, "tasks='add': unknown"),
        ({"tasks": ("temporal_order",), "lengths": (9,)}, "length=9"),
        ({"test_lengths": (0,)}, "length=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"steps": 0}, "steps=0"),
        ({"chunk": 0}, "chunk=0"),
        ({"optimiser": "adm"}, "optimiser='adm'"),
        ({"schedule": "cos"}, "schedule='cos'"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"solved": 1.0}, "solved=1.0"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
    ],
)
def test_bad_values(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        dataclasses.replace(SMALL, **changes)
    assert "\n" not in str(error.value)


def test_a_field_that_is_given_wins_over_the_small_setting():
    config = with_setting(memory_tasks.Config(tiny=True, seeds=7), tiny=memory_tasks.TINY)
    assert (config.seeds, config.hidden, config.tiny) == (7, 12, False)
    assert with_setting(memory_tasks.Config(), tiny=memory_tasks.TINY) == memory_tasks.Config()


def test_what_the_gradient_foretells(tiny):
    """Ranks by hand: Spearman's correlation is Pearson's of the ranks."""
    _, data = tiny
    (row,) = _memory_report.foretold(data)
    parts = _memory_report._each(data)
    gradient = np.concatenate([part.log10_gradient.values for part in parts])
    last = np.concatenate([_populations.last(part.loss.values) for part in parts])
    ranks = [np.argsort(np.argsort(values)) for values in (gradient, last)]
    assert row["networks"] == 4
    assert float(row["correlation"]) == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=0.006)
    constant = data.assign(log10_gradient=data.log10_gradient * 0)
    assert _memory_report.foretold(constant)[0]["correlation"] == "-"
