"""Digits as sequences, on images made here: orders, numbers, the whole run, its resumption."""

import dataclasses
import json
import math
from typing import Any
from unittest import mock

import jax
import numpy as np
import pytest

from experiments import _mnist_images, _mnist_report, sequential_mnist
from rnnlab import cells
from rnnlab.errors import RunError, UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices, log
from tests import quick
from tests.experiments.runs import evaluations

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
    "chunk": 10,
}


def run(folder, **changes):
    settings: dict[str, Any] = {**SMALL, **changes}
    run_whole(folder, sequential_mnist.Config(**settings))


def run_whole(folder, config):
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "sequential_mnist", config) as workdir:
        sequential_mnist.run(config, workdir)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


def read(folder, name):
    return json.loads((folder / name).read_text())


# --- orders ---


def test_orders_are_those_of_numpy():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4), np.uint8)
    places = np.random.RandomState(92916).permutation(16)
    rows, flat, mixed = (
        np.asarray(_mnist_images.sequences(pixels, order)) for order in _mnist_images.ORDERS
    )
    assert rows.shape == (4, 3, 4) and flat.shape == mixed.shape == (16, 3, 1)
    for image in range(3):
        scaled = pixels[image] / 255
        np.testing.assert_allclose(rows[:, image], scaled, rtol=1e-6)
        for step in range(16):
            assert flat[step, image, 0] == rows[step // 4, image, step % 4]
            place = places[step]
            assert mixed[step, image, 0] == rows[place // 4, image, place % 4]


def test_the_permutation():
    places = _mnist_images.permutation(784)
    assert sorted(places) == list(range(784))
    assert places[:6].tolist() == [319, 576, 323, 107, 355, 716]
    assert not np.array_equal(places, np.arange(784))


def test_made_images_are_digits():
    images = _mnist_images.made_images(1000, 3)
    again, other = (_mnist_images.made_images(1000, seed) for seed in (3, 4))
    assert images.pixels.shape == (1000, 8, 8) and images.pixels.dtype == np.uint8
    assert np.array_equal(images.pixels, again.pixels)
    assert not np.array_equal(images.pixels, other.pixels)
    assert set(images.labels) == set(range(10))
    # All segments of an eight cover 4 + 4 + 4 + 2 · 4 of the 7 by 4, a one its right-hand column.
    ink = (images.pixels > 100).sum(axis=(1, 2))
    assert set(ink[images.labels == 8]) == {20} and set(ink[images.labels == 1]) == {7}
    # There are two places in height and five in width.
    assert len({image.tobytes() for image in images.pixels[images.labels == 1] > 100}) == 10


def test_splits_of_mnist(monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    from rnnlab.data import mnist

    arrays = {
        "train": (np.arange(12 * 4, dtype=np.uint8).reshape(12, 2, 2), np.arange(12)),
        "test": (np.zeros((3, 2, 2), np.uint8), np.zeros(3, int)),
    }
    monkeypatch.setattr(mnist, "load", lambda data_dir, manual_dir, split: arrays[split])
    monkeypatch.setitem(_mnist_images.COUNTS, "mnist", (9, 3, 3))
    train, validation, test = _mnist_images.read_images("mnist", "", "")
    assert train.labels.tolist() == list(range(9)) and validation.labels.tolist() == [9, 10, 11]
    assert np.array_equal(validation.pixels, arrays["train"][0][9:]) and len(test.labels) == 3


# --- numbers ---


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_accuracy_and_loss_against_numpy(monkeypatch):
    """A GRU, its readout and the cross-entropy once more, in float64."""
    monkeypatch.setattr(sequential_mnist, "READ", 7)  # 17 images in parts of 6, 6 and 5
    images = _mnist_images.made_images(17, 0)
    settings: dict[str, Any] = SMALL | {"order": "permuted"}
    config = sequential_mnist.Config(**settings)
    reader = config.reader()
    params = jax.tree.map(lambda a: 2 * a + 0.1, reader.init(jax.random.key(1), 1))
    result = sequential_mnist.Examination(reader, "permuted", images)(params)

    p = {name: np.asarray(a, np.float64) for name, a in params["cell"][0].items()}
    places, count = np.random.RandomState(92916).permutation(64), config.hidden
    h = np.zeros((17, count))
    for place in places:
        u = images.pixels.reshape(17, 64)[:, place, None] / 255 @ p["wx"] + p["b"]
        v = h @ p["wh"]
        r, z = sigmoid(u + v)[:, :count], sigmoid(u + v)[:, count : 2 * count]
        n = np.tanh(u[:, 2 * count :] + r * (v[:, 2 * count :] + p["bh"]))
        h = (1 - z) * n + z * h
    readout = {name: np.asarray(a, np.float64) for name, a in params["readout"].items()}
    said = np.exp(h @ readout["w"] + readout["b"])
    chances = said / said.sum(axis=1, keepdims=True)
    nats = [-math.log(row[label]) for row, label in zip(chances, images.labels, strict=True)]
    assert result.loss == pytest.approx(np.mean(nats), rel=1e-4)
    assert np.array_equal(result.answers, chances.argmax(axis=1))
    assert result.accuracy == np.mean(chances.argmax(axis=1) == images.labels)

    trained, right = sequential_mnist.examine(reader, "permuted", params, images)
    np.testing.assert_allclose(trained, nats, rtol=1e-4)
    assert np.array_equal(right, result.answers == images.labels)


def test_confusions_are_counted():
    labels, answers = np.random.default_rng(0).integers(0, 10, (2, 200))
    expected = np.zeros((10, 10), int)
    for label, answer in zip(labels, answers, strict=True):
        expected[label, answer] += 1
    assert np.array_equal(_mnist_report.confusion(labels, answers), expected)


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
    test = _mnist_images.read_images("made", "", "").test
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
    monkeypatch.setattr(sequential_mnist, "Examination", lambda *_: None)
    run(whole)
    assert (whole / "report.html").exists()
    after = {path: path.read_bytes() for path in whole.glob("*.json*")}
    assert {p.name for p in after if after[p] != before[p]} == {"status.json"}


def test_interrupted_in_an_evaluation(whole, tmp_path, monkeypatch):
    original = sequential_mnist.evaluation

    def interrupting(*arguments):
        evaluate = original(*arguments)

        def measure(params, step):
            if step == 80:
                raise KeyboardInterrupt
            return evaluate(params, step)

        return measure

    monkeypatch.setattr(sequential_mnist, "evaluation", interrupting)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "w")
    assert read(tmp_path / "w", "status.json")["state"] == "interrupted"
    monkeypatch.setattr(sequential_mnist, "evaluation", original)
    run(tmp_path / "w")
    for name in ("metrics.jsonl", "answers.json"):
        assert (tmp_path / "w" / name).read_bytes() == (whole / name).read_bytes()
    a, b = read(whole, "summary.json"), read(tmp_path / "w", "summary.json")
    assert all(a[name] == b[name] for name in a if "time" not in name and "seconds" not in name)


@pytest.mark.slow
@pytest.mark.parametrize("order", _mnist_images.ORDERS)
def test_the_tiny_setting_learns(tmp_path, order):
    run_whole(tmp_path, sequential_mnist.Config(order=order, tiny=True))
    assert read(tmp_path, "summary.json")["test accuracy"] > 0.4


@pytest.mark.slow
def test_layers_dropout_chrono_and_another_cell(tmp_path):
    changes = {"cell": "lstm", "layers": 2, "dropout": 0.2, "chrono": 8, "hidden": 4}
    run(tmp_path, **changes, compute="bfloat16", batch=600, epochs=1, warmup=1)
    assert [row["step"] for row in evaluations(tmp_path)] == [0, 2]


def test_chrono_is_the_start_of_the_biases():
    def cell(**changes):
        settings: dict[str, Any] = SMALL | changes
        return sequential_mnist.Config(**settings).reader().cell.layers[0]

    assert cell() == cell(chrono=0) == cells.GRU(12)  # 8 steps are too few
    assert cell(order="pixels") == cells.GRU(12, chrono=8)
    assert cell(order="permuted", images="mnist") == cells.GRU(12, chrono=98)
    assert cell(order="rows", images="mnist", cell="lstm") == cells.LSTM(12, chrono=3)
    assert cell(order="pixels", chrono=784) == cells.GRU(12, chrono=784)
    assert cell(order="pixels", cell="tanh") == cells.by_name("tanh", 12)


def test_settings():
    assert sequential_mnist.Config(tiny=True).chosen().images == "made"
    fields = {field.name for field in dataclasses.fields(sequential_mnist.Config)}
    assert set(sequential_mnist.TINY) <= fields


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


def test_a_learning_rate_that_diverges(tmp_path, capsys):
    changes = {"optimiser": "sgd", "learning_rate": 1e38, "clip_norm": 0.0, "cell": "relu"}
    run(tmp_path, **changes, warmup=0)
    assert read(tmp_path, "status.json")["state"] == "diverged"
    assert "diverged at step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": "mnits"}, "images='mnits': unknown, choose one of mnist, made"),
        ({"order": "columns"}, "order='columns': unknown, choose one of rows"),
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
        ({"compute": "float16"}, "compute='float16'"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        sequential_mnist.Config(**(SMALL | changes))
    assert "\n" not in str(error.value)
