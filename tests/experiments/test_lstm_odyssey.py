"""The experiment `lstm_odyssey`: tasks, trials, what is made of them, and its resumption."""

import os
import signal
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from experiments import lstm_odyssey
from experiments.lstm_odyssey import analysis, measure, tables, tasks
from experiments.lstm_odyssey.config import Config, Search
from experiments.lstm_odyssey.literature import FOUND
from rnnlab.errors import UsageError
from rnnlab.run import results
from rnnlab.run.workdir import open_workdir
from rnnlab.training import brief
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.presets import run_tiny
from tests.experiments.settings import changed

TINY = lstm_odyssey.PRESETS["tiny"]
SMALL = changed(TINY, tasks=("copy",), cells=("tanh", "minimal"), reference="tanh", steps=5)
LOSSES = np.array(
    [  # of the reference and of two cells: [cell, size, search, trial]
        [[[2.0, 1.0], [1.2, 3.0], [1.1, 2.0]], [[4.0, 4.0], [0.9, 4.0], [5.0, 4.0]]],
        [[[3.0, 2.0], [2.2, 3.0], [2.1, 2.2]], [[4.0, 4.0], [1.9, 4.0], [5.0, 4.0]]],
        [[[0.1, 1.1], [1.2, 3.0], [1.1, 2.0]], [[4.0, 4.0], [0.8, 4.0], [5.0, 4.0]]],
    ]
)
CONFIG = Config(
    tasks=("copy",),
    cells=("lstm_peephole", "lstm_nfg", "gru"),
    search=Search(searches=3, trials=2, lowest_rate=0.01, highest_rate=0.09),
)


@pytest.fixture(scope="module", autouse=True)
def cheap_programs():
    """Less time to compile, more to run, the same numbers to rounding."""
    with mock.patch.object(brief, "options", quick.known_options):
        yield


def result(losses=LOSSES):
    """A result as `measure` makes it; one trial of the last cell has diverged."""
    rates = np.broadcast_to(np.array([0.02, 0.06]), losses.shape)
    diverged = np.zeros(losses.shape, np.int32)
    diverged[2, 0, 0, 0] = 7
    axes = measure.DIMENSIONS[1:]
    data = xr.Dataset(
        {
            "validation": (axes, losses),
            "test": (axes, losses + 0.01),
            "learning_rate": (axes, rates),
            "diverged_at": (axes, diverged),
            "hidden": (axes[:2], np.full((3, 2), 5)),
            "parameters": (axes[:2], np.full((3, 2), 99)),
        }
    ).expand_dims("task")
    data = data.assign_coords(task=["copy"], cell=list(CONFIG.cells), size=[1.0, 4.0])
    return data.assign(baseline=("task", [3.5]), unit=("task", ["nats a step"]))


def run_small(folder):
    cheap = mock.patch.object(brief, "options", quick.known_options)
    with cheap, open_workdir(folder, "lstm_odyssey", SMALL) as workdir:
        return measure.measure(SMALL, workdir)


def run_and_die(folder):
    """Is killed as it saves its second group."""
    save, count = results.save_dataset, [0]

    def saving(data, path):
        count[0] += 1
        if count[0] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return save(data, path)

    with mock.patch.object(results, "save_dataset", saving):
        run_small(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_small(tmp_path_factory.mktemp("whole") / "w")


# --- tasks ---


def test_stretches_of_text_lie_in_the_text():
    task = tasks.read(TINY, "text")
    batch = np.asarray(task.sample(jax.random.key(0)))
    text = np.asarray(task._train)
    windows = np.lib.stride_tricks.sliding_window_view(text, len(batch))
    assert batch.shape == (9, 8) and len({tuple(row) for row in batch.T}) > 4
    assert all((windows == row).all(axis=1).any() for row in batch.T)
    assert task.validation.shape == task.test.shape == (9, 32)


@pytest.mark.slow
def test_stretches_of_chorales_lie_in_chorales():
    task = tasks.read(TINY, "music")
    batch = task.sample(jax.random.key(1))
    assert batch.frames.shape == (8, 8, 88) and (np.asarray(batch.lengths) <= 8).all()
    train, lengths = np.asarray(task._train.frames), np.asarray(task._train.lengths)
    for frames, length in zip(np.asarray(batch.frames), np.asarray(batch.lengths), strict=True):
        windows = [
            roll[start : start + length]
            for roll, end in zip(train, lengths, strict=True)
            for start in range(end - length + 1)
        ]
        assert any(np.array_equal(frames[:length], window) for window in windows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text", "music", "speech"])
def test_a_network_that_sees_nothing_has_the_baseline(name):
    """Its weights are zero, and its biases what of all biases suits the test best."""
    task = tasks.read(TINY, name)
    model = task.model("tanh", 2, "autodiff")
    params = jax.tree.map(jnp.zeros_like, model.init(jax.random.key(0)))
    (place,) = [
        path
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        if leaf.ndim == 1 and leaf.size > 2
    ]
    step = jax.jit(jax.value_and_grad(model.loss))
    for _ in range(300):
        loss, gradient = step(params, task.test)
        params = jax.tree_util.tree_map_with_path(
            lambda path, leaf, slope: leaf - slope * (2 if path == place else 0), params, gradient
        )
    assert float(loss) == pytest.approx(task.baseline, rel=0.05)


# --- what is made of trials ---


def test_a_search_chooses_by_validation_and_never_what_diverged():
    chosen = analysis.chosen(result()).sel(task="copy")
    np.testing.assert_allclose(chosen.test.sel(cell="lstm_peephole"), [1.01, 0.91, 1.11])
    np.testing.assert_allclose(chosen.test.sel(cell="gru"), [1.11, 0.81, 1.11])
    assert chosen.chosen_size.sel(cell="gru").values.tolist() == [1, 4, 1]
    assert chosen.learning_rate.sel(cell="gru").values.tolist() == [0.06, 0.02, 0.02]


def test_a_search_that_diverged_wholly_has_learned_nothing():
    data = result()
    data["diverged_at"] = xr.full_like(data.diverged_at, 3)
    assert (analysis.chosen(data).test == 3.5).all()


def test_cells_are_compared_in_pairs():
    first, second, third = analysis.compared(result(), CONFIG, "copy")
    assert [first.cell, second.cell, third.cell] == ["lstm_peephole", "gru", "lstm_nfg"]
    assert first.verdict == "reference" and second.verdict == "no difference found"
    assert third.verdict == "worse" and third.difference.mean == pytest.approx(1)
    assert third.difference.low == pytest.approx(1) == third.difference.high
    assert (second.diverged, second.trials) == (1, 12) and first.diverged == 0


def test_ranks_by_hand():
    """Searches rank reference, no forget gate and GRU 1 3 2, 2 3 1 and 1.5 3 1.5."""
    ranks = analysis.ranks(result())
    assert {cell: mean for cell, (mean, _, _) in ranks.items()} == pytest.approx(
        {"lstm_peephole": 1.5, "gru": 1.5, "lstm_nfg": 3}
    )


def test_medians_by_learning_rate():
    edges, medians = analysis.by_rate(result(), CONFIG, "copy", 2)
    np.testing.assert_allclose(edges, [0.01, 0.03, 0.09])
    np.testing.assert_allclose(
        medians[0], np.median([[2, 1.2, 1.1, 4, 0.9, 5], [1, 3, 2, 4, 4, 4]], axis=1)
    )
    assert medians[2, 0] == np.median([3.5, 1.2, 1.1, 4, 0.8, 5])
    edges, medians = analysis.by_rate(result(), CONFIG, "copy", 9)
    assert np.isnan(medians).any()


@pytest.mark.slow
def test_what_moves_the_loss():
    found = analysis.important(result(), CONFIG, "copy", "lstm_peephole")
    assert found.shares.keys() == {(0,), (1,), (0, 1)}
    losses = np.broadcast_to(np.array([1.0, 2.0])[:, None, None], (3, 2, 3, 2))
    alone = analysis.important(result(losses), CONFIG, "copy", "lstm_peephole")
    assert alone.shares[1,] > 0.9 and alone.explained > 0.5


def test_what_was_found_before_stands_beside_it():
    rankings = {"copy": analysis.compared(result(), CONFIG, "copy")}
    (row,) = tables.greff(rankings)
    assert row["cell"] == "lstm_nfg" and row["music"] == "worse"
    assert row["here: copy"] == "worse"
    assert set(FOUND) < set(Config().cells)


def test_no_cell_of_greff_is_all_that_was_asked():
    rankings = {"copy": [one for one in analysis.compared(result(), CONFIG, "copy")][:2]}
    assert tables.greff(rankings) == []


# --- trials ---


@pytest.mark.slow
def test_the_trials_of_every_cell_are_the_same(whole):
    rates = whole.learning_rate
    assert whole.sizes == {"task": 1, "cell": 2, "size": 1, "search": 3, "trial": 2}
    np.testing.assert_array_equal(rates.sel(cell="tanh"), rates.sel(cell="minimal"))
    assert len(set(rates.sel(cell="tanh").values.ravel().tolist())) == 6
    assert (whole.parameters <= 600).all() and (whole.diverged_at == 0).all()


@pytest.mark.slow
def test_trials_learn(tmp_path):
    config = changed(SMALL, steps=60, cells=("tanh",), lowest_rate=0.03)
    with open_workdir(tmp_path / "w", "lstm_odyssey", config) as workdir:
        data = measure.measure(config, workdir)
    assert data.test.min().item() < data.baseline.item()


@pytest.mark.slow
def test_trials_that_diverge_are_counted(tmp_path):
    config = changed(
        SMALL, steps=30, optimiser="sgd", clip_norm=0.0, lowest_rate=1e3, highest_rate=1e30
    )
    with open_workdir(tmp_path / "w", "lstm_odyssey", config) as workdir:
        data = measure.measure(config, workdir)
    assert (data.diverged_at > 0).any()
    cells = analysis.compared(data, config, "copy")
    assert sum(one.diverged for one in cells) == int((data.diverged_at > 0).sum())
    assert all(np.isfinite(one.losses).all() for one in cells)


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_after_a_group(whole, tmp_path):
    """Resumed, it trains the other groups only and ends with the same bits."""
    folder = tmp_path / "w"
    assert killed(run_and_die, folder, number=1, delay=0)
    assert [path.name for path in (folder / results.PARTIAL).iterdir()] == ["copy-tanh-1.nc"]
    with mock.patch.object(measure, "group", side_effect=measure.group) as group:
        xr.testing.assert_identical(run_small(folder), whole)
    assert group.call_count == 1


@pytest.mark.slow
def test_the_preset_tiny(tmp_path):
    made = run_tiny(lstm_odyssey, tmp_path)
    assert made >= {"ranking.png", "learning_rates.png", "importance.png", "report.html"}
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png") == 3 and "no forget gate" in page


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ("copy", "sums")}, "tasks=sums"),
        ({"cells": ("lstm_peephole", "lstn")}, "cells=lstn"),
        (
            {"reference": "gru"},
            "reference=gru: must be one of cells=lstm_peephole,lstm_nfg",
        ),
        ({"searches": 1}, "searches=1"),
        ({"trials": 0}, "trials=0"),
        ({"sizes": (4.0, 1.0)}, "sizes="),
        ({"lowest_rate": 0.5}, "lowest_rate=0.5: must be at most highest_rate="),
        ({"optimiser": "lion"}, "optimiser='lion'"),
        ({"schedule": "step"}, "schedule='step'"),
        ({"count": 0}, "count=0"),
        ({"frames": 1}, "frames=1"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(TINY, **changes)
    assert "\n" not in str(error.value)


def test_a_text_shorter_than_a_stretch():
    with pytest.raises(UsageError, match=r"text\.length=10000000: must be below"):
        tasks.read(changed(TINY, length=10_000_000), "text")
