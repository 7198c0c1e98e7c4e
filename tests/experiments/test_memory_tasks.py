"""The tiny setting as users run it; its numbers against what they follow from; resumption."""

import math
import pathlib
from unittest import mock

import numpy as np
import pytest
import xarray as xr

from experiments import memory_tasks
from experiments.memory_tasks import measure as measuring
from experiments.memory_tasks import report
from experiments.memory_tasks.config import GRID
from rnnlab.errors import UsageError
from rnnlab.run import registry, results
from rnnlab.run.command_line import CommandLine
from rnnlab.run.workdir import open_workdir
from rnnlab.statistics import rank_correlation_interval
from rnnlab.training import devices, loop, populations
from tests import quick
from tests.experiments.settings import assert_recorded, changed, trainings

TINY = memory_tasks.PRESETS["tiny"]
SMALL = changed(
    memory_tasks.Config(),
    networks=("additive", "gru"),
    tasks=("adding",),
    lengths=(4,),
    seeds=2,
    hidden=4,
    batch=4,
    steps=20,
    evaluate_every=10,
    evaluation_batch=16,
    dispatch=10,
    strategy="autodiff",
)


def measure(folder, config=SMALL):
    with open_workdir(folder, "memory_tasks", config) as workdir:
        return measuring.measure(config, workdir)


@pytest.fixture(scope="module", autouse=True)
def cheap_programs():
    """Less time to compile, more to run, the same numbers to rounding."""
    with mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options()):
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "w"
    with open_workdir(folder, "memory_tasks", TINY) as workdir, trainings(measuring) as made:
        assert memory_tasks.run(TINY, workdir) == "done"
    return folder, results.load_dataset(folder / "results.nc"), made


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "w"
    return folder, measure(folder)


@pytest.mark.slow
def test_the_tiny_setting_writes_everything(tiny):
    folder, data, _ = tiny
    made = {path.name for path in folder.iterdir()}
    assert made >= {"results.nc", "losses.png", "success.png", "report.html", "config.json"}
    assert (folder / "parity_running-6-gru/metrics.jsonl").exists()
    assert data.sizes == {"task": 1, "length": 1, "network": 2, "step": 4, "seed": 2} | {
        "test_length": 1
    }
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "right at 20" in page


@pytest.mark.slow
def test_the_record_of_the_tiny_setting_is_what_was_trained(tiny):
    folder, data, made = tiny
    assert_recorded(folder, "memory_tasks", TINY)
    training, population = TINY.training, TINY.population
    assert data.network.values.tolist() == list(population.networks) and len(made) == 2
    assert data.length.values.tolist() == list(TINY.lengths)
    assert data.test_length.values.tolist() == list(TINY.test_lengths)
    for learner, plan, keys in made:
        assert (plan.steps, plan.dispatch) == (training.steps, training.dispatch)
        assert plan.evaluate_every == training.evaluate_every
        assert plan.checkpoint_every == training.checkpoint_every
        assert (learner.batch, learner.clip.norm) == (training.batch, training.clip_norm)
        assert len(keys) == population.seeds
        assert learner.start(keys[0]).params["readout"]["w"].shape == (population.hidden, 2)


@pytest.mark.slow
def test_the_tiny_setting_learns(tiny):
    _, data, _ = tiny
    parity = data.sel(task="parity_running", length=6, network="gru")
    start, end = parity.loss.isel(step=0), populations.last(parity.loss.values)
    assert parity.baseline.item() == pytest.approx(math.log(2))
    assert bool((start > 0.9 * math.log(2)).all()) and end.min() < 0.2 * math.log(2)


@pytest.mark.slow
def test_solved_is_the_first_evaluation_below_the_bar(tiny):
    _, data, _ = tiny
    for part in populations.points(data, GRID):
        for seed in data.seed.values:
            loss = part.loss.sel(seed=seed).values
            below = np.flatnonzero(loss < TINY.solved * part.baseline.item())
            expected = data.step.values[below[0]] if len(below) else math.nan
            np.testing.assert_equal(part.solved_at.sel(seed=seed).item(), float(expected))
    rows = report.table(data)
    assert len(rows) == 2 and all("/2 (" in row["solved"] for row in rows)


@pytest.mark.slow
def test_a_gradient_that_cannot_vanish(small):
    """The additive recurrence hands on every gradient: ‖∂L/∂s_0‖ of a unit readout is 1."""
    _, data = small
    additive = data.log10_gradient.sel(network="additive")
    np.testing.assert_allclose(additive, 0, atol=1e-6)
    assert bool((data.log10_gradient.sel(network="gru") < -0.1).all())


@pytest.mark.slow
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
    assert [path.name for path in (tmp_path / "w/partial").iterdir()] == ["adding-4-additive.nc"]
    xr.testing.assert_identical(measure(tmp_path / "w"), whole)
    a, b = (root / "adding-4-gru/metrics.jsonl" for root in (folder, tmp_path / "w"))
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.slow
def test_seeds_that_diverge_are_a_result(tmp_path):
    config = changed(
        SMALL,
        networks=("linear",),
        lengths=(4,),
        optimiser="sgd",
        learning_rate=1e20,
        clip_norm=0.0,
    )
    data = measure(tmp_path / "w", config)
    assert bool((data.diverged_at >= 1).all()) and not np.isfinite(data.solved_at).any()
    (row,) = report.table(data)
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
        ({"dispatch": 0}, "dispatch=0"),
        ({"optimiser": "adm"}, "optimiser='adm'"),
        ({"schedule": "cos"}, "schedule='cos'"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"solved": 1.0}, "solved=1.0"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
        ({"clip_norm": math.nan}, "clip_norm=nan"),
        ({"penalty": math.inf}, "penalty=inf"),
        ({"lengths": (4, 4)}, r"lengths=\(4, 4\): must be without repetition"),
        ({"networks": ("gru", "gru")}, r"networks=\('gru', 'gru'\): must be without"),
        ({"test_lengths": (5, 5)}, r"test_lengths=\(5, 5\): must be without"),
        ({"penalty": 1.0}, "penalty=1.0: .* would ignore strategy=autodiff; set strategy=hoisted"),
        (
            {"penalty": 1.0, "strategy": "hoisted", "networks": ("gru", "mgu")},
            "penalty: not for MGU",
        ),
    ],
)
def test_bad_values(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(SMALL, **changes)
    assert "\n" not in str(error.value)


def test_short_names_on_the_command_line():
    folder = pathlib.Path(memory_tasks.__file__).parents[1]
    given = ("networks=lstm,irnn", "seeds=1", "hidden=5", "steps=7", "learning_rate=0.5")
    line = CommandLine(
        ["run.py", "--preset=tiny", *(f"--config.{text}" for text in given)],
    )
    expected = changed(
        TINY, networks=("lstm", "irnn"), seeds=1, hidden=5, steps=7, learning_rate=0.5
    )
    assert line.config(registry.find(folder, "memory_tasks").settings()) == expected


@pytest.mark.slow
def test_what_the_gradient_foretells(tiny):
    """Ranks by hand: Spearman's correlation is Pearson's of the ranks."""
    _, data, _ = tiny
    (row,) = report.foretold(data)
    parts = populations.points(data, GRID)
    gradient = np.concatenate([part.log10_gradient.values for part in parts])
    last = np.concatenate([populations.last(part.loss.values) for part in parts])
    first, second = (np.argsort(np.argsort(values)) for values in (gradient, last))
    assert row["networks"] == 4
    assert float(row["correlation"]) == pytest.approx(np.corrcoef(first, second)[0, 1], abs=0.006)
    assert row["95 % interval"] == "{:.2f} … {:.2f}".format(
        *rank_correlation_interval(float(np.corrcoef(first, second)[0, 1]), 4)
    )
    constant = data.assign(log10_gradient=data.log10_gradient * 0)
    assert report.foretold(constant)[0]["correlation"] == "-"
