"""The experiment `image_classification`: shifts, a run, its model on files, its resumption."""

import json
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import rnnlab
from experiments import image_classification
from experiments.image_classification import measure
from rnnlab.data.images import made_images, read_images
from rnnlab.data.source import ImageSource
from rnnlab.errors import UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from rnnlab.training.convolutional import moved
from rnnlab.training.evaluators import ImageEvaluator
from rnnlab.training.images import Examination
from rnnlab.training.update import updates
from tests import quick
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, evaluations, state_of, summary_of
from tests.experiments.settings import changed

SMALL: dict[str, Any] = {
    "channels": (4, 8),
    "hidden": 16,
    "batch": 60,
    "epochs": 8,
    "dispatch": 2,
    "checkpoint_every": 8,
    "warmup": 2,
    "learning_rate": 0.01,
}
WRITTEN = ("metrics.jsonl", "answers.json", "model.json")


def config_of(**changes):
    return changed(image_classification.PRESETS["tiny"], **(SMALL | changes))


def run(folder, **changes):
    config = config_of(**changes)
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "image_classification", config) as workdir:
        workdir.end(image_classification.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


def test_images_are_moved_as_a_whole_and_zeros_come_in():
    images = np.random.default_rng(0).uniform(1, 2, (40, 5, 6)).astype(np.float32)
    found = np.asarray(moved(jnp.asarray(images), 2, jax.random.key(0)))
    seen = set()
    for image, other in zip(images, found, strict=True):
        fits = []
        for down, right in np.ndindex(5, 5):
            room = np.zeros((9, 10), np.float32)
            room[down : down + 5, right : right + 6] = image
            if np.array_equal(room[2:7, 2:8], other):
                fits.append((down - 2, right - 2))
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 15 and max(map(max, seen)) == 2 and min(map(min, seen)) == -2
    assert moved(jnp.asarray(images), 0, jax.random.key(0)) is not None


@pytest.mark.slow
def test_updates_written_out_are_those_of_a_loop():
    import dataclasses

    from rnnlab.training.images import image_learner

    config = config_of()
    learner = image_learner(
        measure.model_of(config),
        side=8,
        batch=20,
        optimiser=config.training.make_optimiser(10),
        clip=config.training.clip(),
    )
    assert learner.written_out
    start = learner.start(jax.random.key(0))
    batches = jax.tree.map(lambda a: np.stack([a[:20], a[20:40]]), made_images(40, 0))
    loop = dataclasses.replace(learner, written_out=False)
    one, other = (updates(each, 2, start, batches) for each in (learner, loop))
    for a, b in zip(jax.tree.leaves(one[0].params), jax.tree.leaves(other[0].params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert int(one[0].step) == 2 and one[1]["loss"].shape == other[1]["loss"].shape == (2,)


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole):
    assert state_of(whole) == "done"
    rows, summary = evaluations(whole), summary_of(whole)
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    test = read_images(ImageSource()).test
    right = np.array(json.loads((whole / "answers.json").read_text())) == test.labels
    assert summary["test accuracy"] == right.mean() > 0.5
    page = (whole / "report.html").read_text()
    assert page.count("data:image/png") == 4


@pytest.mark.slow
def test_the_model_names_arrays_and_files(whole, tmp_path):
    model = rnnlab.load(whole)
    shown = made_images(12, 9)
    log_p = model(shown.pixels)
    result = Examination(model.model, shown)(model.params)
    assert log_p.argmax(axis=1).tolist() == result.answers.tolist()
    names = []
    for row, pixels in enumerate(shown.pixels):
        pixels = np.where(pixels < 100, 0, 255).astype(np.uint8)  # paper without noise
        names.append(str(tmp_path / f"{row}.png"))
        Image.fromarray(255 - pixels if row % 2 else pixels).save(names[-1])
    answers = model.predict(names)
    assert [each["line"] for each in answers] == names
    clean = np.where(shown.pixels < 100, 0, 255)
    assert [each["answer"] for each in answers] == [e["class"] for e in model.predict(clean)]
    assert all(sum(each["probabilities"].values()) == pytest.approx(1) for each in answers)
    assert model.predict([]) == []
    model.show(names[0], tmp_path / "shown.svg")
    assert (tmp_path / "shown.svg").stat().st_size > 1000
    blank = tmp_path / "blank.png"
    Image.new("RGB", (50, 40), "red").save(blank)
    with pytest.raises(UsageError, match=r"blank\.png: is of one colour"):
        model.predict([names[0], str(blank)])


@pytest.mark.cpu
@pytest.mark.slow
def test_interrupted_in_an_evaluation(whole, tmp_path, monkeypatch):
    original = ImageEvaluator.__call__

    def stop(self, params, step):
        if step == 20:
            raise KeyboardInterrupt
        return original(self, params, step)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ImageEvaluator, "__call__", stop)
        run(tmp_path / "w")
    run(tmp_path / "w")
    assert_same(whole, tmp_path / "w", WRITTEN)


@pytest.mark.slow
def test_tiny_preset(tmp_path):
    names = run_tiny(image_classification, tmp_path / "w")
    assert {"report.html", "summary.json", "curve.png", "filters.png"} <= names
    assert summary_of(tmp_path / "w")["test accuracy"] > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": "mnits"}, "images=mnits: must be mnist or made"),
        ({"channels": ()}, r"channels=\(\): must be at least one value"),
        ({"channels": (3, 0)}, r"channels=\(3, 0\)"),
        ({"channels": (2, 2, 2, 2)}, r"channels=.* leave nothing of 8 pixels"),
        ({"size": 4}, "size=4: must be odd"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"shift": -1}, "shift=-1"),
        ({"batch": 1201}, r"batch=1201: must be within 1 \.\. 1200"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        config_of(**changes)
    assert "\n" not in str(error.value)
