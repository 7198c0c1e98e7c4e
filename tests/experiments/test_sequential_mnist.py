"""Digits as sequences, on images made here: orders, numbers, the whole run, its resumption."""

import json
import math
from typing import Any
from unittest import mock

import jax
import numpy as np
import pytest

from experiments import sequential_mnist
from experiments.sequential_mnist import measure
from rnnlab import cells
from rnnlab.combinators import Stack
from rnnlab.data.images import ORDERS, made_images, read_images
from rnnlab.data.source import ImageSource
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.statistics import confusion
from rnnlab.training import devices, image_summary, images, log
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.images import Examination
from tests import quick
from tests.experiments.runs import evaluations
from tests.experiments.settings import assert_recorded, changed, trainings

SMALL: dict[str, Any] = {
    "images": "made",
    "order": "rows",
    "hidden": 12,
    "batch": 30,
    "epochs": 4,
    "learning_rate": 0.03,
    "warmup": 5,
    "strategy": "autodiff",
    "evaluate_every": 40,
    "checkpoint_every": 10,
    "dispatch": 10,
}


def run(folder, **changes):
    run_whole(folder, changed(sequential_mnist.Config(), **(SMALL | changes)))


def run_whole(folder, config):
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "sequential_mnist", config) as workdir:
        workdir.end(sequential_mnist.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


def read(folder, name):
    return json.loads((folder / name).read_text())


# --- numbers ---


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_accuracy_and_loss_against_numpy(monkeypatch):
    """A GRU, its readout and the cross-entropy once more, in float64."""
    monkeypatch.setattr(images, "READ", 7)  # 17 images in batches of 6, 6 and 5
    shown = made_images(17, 0)
    config = changed(sequential_mnist.Config(), **(SMALL | {"order": "permuted"}))
    model = measure.model_of(config)
    params = jax.tree.map(lambda a: 2 * a + 0.1, model.init(jax.random.key(1), 8))
    result = Examination(model, shown)(params)

    p = {name: np.asarray(a, np.float64) for name, a in params["cell"][0].items()}
    places, count = np.random.RandomState(92916).permutation(64), config.network.hidden
    h = np.zeros((17, count))
    for place in places:
        u = shown.pixels.reshape(17, 64)[:, place, None] / 255 @ p["wx"] + p["b"]
        v = h @ p["wh"]
        r, z = sigmoid(u + v)[:, :count], sigmoid(u + v)[:, count : 2 * count]
        n = np.tanh(u[:, 2 * count :] + r * (v[:, 2 * count :] + p["bh"]))
        h = (1 - z) * n + z * h
    readout = {name: np.asarray(a, np.float64) for name, a in params["readout"].items()}
    said = np.exp(h @ readout["w"] + readout["b"])
    chances = said / said.sum(axis=1, keepdims=True)
    nats = [-math.log(row[label]) for row, label in zip(chances, shown.labels, strict=True)]
    assert result.loss == pytest.approx(np.mean(nats), rel=1e-4)
    assert np.array_equal(result.answers, chances.argmax(axis=1))
    assert result.accuracy == np.mean(chances.argmax(axis=1) == shown.labels)

    trained, right = model.losses(params, shown)
    np.testing.assert_allclose(trained, nats, rtol=1e-4)
    assert np.array_equal(right, result.answers == shown.labels)


def test_confusions_are_counted():
    labels, answers = np.random.default_rng(0).integers(0, 10, (2, 200))
    expected = np.zeros((10, 10), int)
    for label, answer in zip(labels, answers, strict=True):
        expected[label, answer] += 1
    assert np.array_equal(confusion(labels, answers, 10), expected)


# --- the run ---


def test_it_learns_and_everything_is_there(whole):
    rows, summary = evaluations(whole), read(whole, "summary.json")
    assert [row["step"] for row in rows] == [0, 40, 80, 120, 160]
    assert rows[0]["accuracy"] < 0.3 and rows[-1]["accuracy"] > 0.5
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    best = max(rows, key=lambda row: row["accuracy"])
    assert summary["best step"] == best["step"]
    assert summary["validation accuracy"] == best["accuracy"]
    assert {"sigma_max/0.r", "spectral_radius/0.z", "log10_adjoint/8"} <= set(best)
    test = read_images(ImageSource()).test
    right = np.array(read(whole, "answers.json")) == test.labels
    assert summary["test accuracy"] == right.mean() > 0.5
    assert summary["test images misread"] == 200 - right.sum()
    trained = log.read((whole / "metrics.jsonl").read_text(), "train")
    assert all(0 <= row["accuracy"] <= 1 for row in trained)
    page = (whole / "report.html").read_text()
    assert page.count("data:image/png") == 4 and "for what it was taken" in page
    assert read(whole, "status.json")["state"] == "done"


def test_the_test_images_are_looked_at_once(whole, monkeypatch):
    before = {path: path.read_bytes() for path in whole.glob("*.json*")}
    (whole / "report.html").unlink()
    monkeypatch.setattr(image_summary, "Examination", lambda *_: None)
    run(whole)
    assert (whole / "report.html").exists()
    after = {path: path.read_bytes() for path in whole.glob("*.json*")}
    assert {p.name for p in after if after[p] != before[p]} == {"status.json"}


class Interrupted(Evaluator):
    def __init__(self, evaluator):
        self._evaluator = evaluator

    def __call__(self, params, step):
        if step == 80:
            raise KeyboardInterrupt
        return self._evaluator(params, step)


@pytest.mark.slow
def test_interrupted_in_an_evaluation(whole, tmp_path, monkeypatch):
    original = measure.evaluator
    monkeypatch.setattr(measure, "evaluator", lambda *settings: Interrupted(original(*settings)))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "w")
    assert read(tmp_path / "w", "status.json")["state"] == "interrupted"
    monkeypatch.setattr(measure, "evaluator", original)
    run(tmp_path / "w")
    for name in ("metrics.jsonl", "answers.json"):
        assert (tmp_path / "w" / name).read_bytes() == (whole / name).read_bytes()
    a, b = read(whole, "summary.json"), read(tmp_path / "w", "summary.json")
    assert all(a[name] == b[name] for name in a if "time" not in name and "seconds" not in name)


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_the_tiny_preset_learns(tmp_path, order):
    run_whole(tmp_path, changed(sequential_mnist.PRESETS["tiny"], order=order))
    assert read(tmp_path, "summary.json")["test accuracy"] > 0.4


@pytest.mark.slow
def test_layers_dropout_chrono_and_another_cell(tmp_path):
    changes = {"cell": "lstm", "layers": 2, "dropout": 0.2, "chrono": 8, "hidden": 4}
    run(tmp_path, **changes, compute="bfloat16", batch=600, epochs=1, warmup=1)
    assert [row["step"] for row in evaluations(tmp_path)] == [0, 2]


def test_chrono_is_the_start_of_the_biases():
    def cell(**changes):
        config = changed(sequential_mnist.Config(), **(SMALL | changes))
        layer = measure.model_of(config).reader.cell
        assert isinstance(layer, Stack)
        return layer.layers[0]

    assert cell() == cell(chrono=0) == cells.GRU(12)  # 8 steps are too few
    assert cell(order="pixels") == cells.GRU(12, chrono=8)
    assert cell(order="permuted", images="mnist") == cells.GRU(12, chrono=98)
    assert cell(order="rows", images="mnist", cell="lstm") == cells.LSTM(12, chrono=3)
    assert cell(order="pixels", chrono=784) == cells.GRU(12, chrono=784)
    assert cell(order="pixels", cell="tanh") == cells.by_name("tanh", 12)


@pytest.mark.slow
def test_what_is_recorded_is_trained(tmp_path):
    preset = sequential_mnist.PRESETS["tiny"]
    assert (preset.source.images, preset.network.hidden, preset.training.epochs) == ("made", 32, 6)
    config = changed(preset, order="rows", epochs=1, batch=600, warmup=0)
    with trainings(measure) as made, open_workdir(tmp_path, "sequential_mnist", config) as workdir:
        assert sequential_mnist.run(config, workdir) == "done"
    assert_recorded(tmp_path, "sequential_mnist", config)
    ((learner, plan, _),) = made
    (cell,) = jax.eval_shape(learner.init, jax.random.key(0))["cell"]
    assert cell["wh"].shape[0] == 32 and (plan.steps, plan.units_per_update, learner.batch) == (
        2,
        600,
        600,
    )


# --- bad input ---


def test_no_data_and_no_network(tmp_path, monkeypatch):
    requests = pytest.importorskip("requests")
    pytest.importorskip("tensorflow_datasets")

    def refuse(self, request, **settings):
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", refuse)
    message = (
        r"mnist: cannot reach https.* found no train-images-idx3-ubyte\.gz .*data/downloads.*; put "
        r".* --config\.manual_dir=FOLDER"
    )
    with pytest.raises(RunError, match=message) as error:
        run(tmp_path / "w", images="mnist", data_dir=str(tmp_path / "data"))
    assert "\n" not in str(error.value)
    assert read(tmp_path / "w", "status.json")["state"] == "failed"
    with pytest.raises(UsageError, match=r"^manual_dir=.*no such folder"):
        run(tmp_path / "v", images="mnist", data_dir=str(tmp_path), manual_dir=str(tmp_path / "x"))


def test_a_checkpoint_of_another_network(whole):
    with pytest.raises(UsageError, match="holds another configuration"):
        run(whole, hidden=16)
    path = whole / "config.json"
    before = path.read_text()
    path.write_text(before.replace('"hidden": 12', '"hidden": 16'))
    try:
        with pytest.raises(UsageError, match=r"is of another network .* there and .* here"):
            run(whole, hidden=16)
    finally:
        path.write_text(before)


@pytest.mark.slow
def test_a_learning_rate_that_diverges(tmp_path, capsys):
    changes = {"optimiser": "sgd", "learning_rate": 1e38, "clip_norm": 0.0, "cell": "relu"}
    run(tmp_path, **changes, warmup=0)
    assert read(tmp_path, "status.json")["state"] == "diverged"
    assert "diverged at step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": "mnits"}, "images=mnits: must be mnist or made"),
        ({"order": "columns"}, "order=columns: must be rows or pixels or permuted"),
        ({"cell": "lstn"}, "cell='lstn'.*did you mean 'lstm'"),
        ({"hidden": 0}, "hidden=0"),
        ({"layers": 0}, "layers=0"),
        ({"batch": 0}, "batch=0"),
        ({"batch": 1201}, r"batch=1201: must be within 1 \.\. 1200, the number of training"),
        ({"epochs": 0}, "epochs=0"),
        ({"chrono": -2}, "chrono=-2"),
        ({"chrono": 2}, "chrono=2"),
        ({"cell": "tanh", "chrono": 9}, "chrono=9: cell 'tanh' has no such setting"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"optimiser": "adm"}, "optimiser='adm'"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"schedule": "x"}, "schedule='x'"),
        ({"warmup": 160}, "warmup=160"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
        ({"evaluate_every": -1}, "evaluate_every=-1"),
        ({"checkpoint_every": 0}, "checkpoint_every=0"),
        ({"strategy": "x"}, "strategy='x'"),
        ({"compute": "float16"}, "compute=float16"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(sequential_mnist.Config(), **(SMALL | changes))
    assert "\n" not in str(error.value)


class Worse(Evaluator):
    """Each evaluation is worse than the one before: chance may favour a network that is lost."""

    def __init__(self, evaluator):
        self.evaluator = evaluator

    def __call__(self, params, step):
        return self.evaluator(params, step) | {"error": 1 + step}


@pytest.mark.slow
def test_no_evaluation_beats_the_first(tmp_path, monkeypatch):
    original = measure.evaluator
    monkeypatch.setattr(measure, "evaluator", lambda *settings: Worse(original(*settings)))
    run(tmp_path, learning_rate=10.0, epochs=1, warmup=0)
    rows = evaluations(tmp_path)
    assert all(row["loss"] > rows[0]["loss"] + 0.5 for row in rows[1:])
    summary = read(tmp_path, "summary.json")
    assert summary["best step"] == 0 and summary["validation loss"] == rows[0]["loss"]
    assert summary["test loss"] == pytest.approx(rows[0]["loss"], abs=0.2)
