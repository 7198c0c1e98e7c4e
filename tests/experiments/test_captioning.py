"""The experiment `captioning`: baselines, a run, its model on files, kill and resumption."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import rnnlab
from experiments import captioning
from experiments.captioning import measure
from experiments.captioning.baselines import nearest_sentences
from rnnlab.data.captions import Captioned, CaptionSource, mixed, read_captions
from rnnlab.errors import UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from rnnlab.training.captioning import CaptionLoss
from tests import quick
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, evaluations, state_of, summary_of
from tests.experiments.settings import changed

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "channels": (3, 4),
    "features": 6,
    "hidden": 8,
    "embedding": 5,
    "readout": 6,
    "strategy": "autodiff",
    "batch": 8,
    "steps": 12,
    "evaluate_every": 4,
    "checkpoint_every": 2,
    "warmup": 2,
    "alone": 4,
}
WRITTEN = ("metrics.jsonl", "captions.json", "attended.json", "model.json")


def config_of(**changes):
    return changed(captioning.PRESETS["tiny"], **(SMALL | changes))


def run(folder, **changes):
    config = config_of(**changes)
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "captioning", config) as workdir:
        workdir.end(captioning.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


def test_the_nearest_image_is_found_with_its_boxes_in_any_order():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 50, 200, 3), np.uint8)
    train = Captioned(pixels, list("abcd"))
    asked = np.stack([mixed(pixels[2], (1, 2, 0)), pixels[3], mixed(pixels[0], (0, 2, 1))])
    asked = np.clip(asked.astype(int) + rng.integers(-9, 9, asked.shape), 0, 255).astype(np.uint8)
    assert nearest_sentences(train, asked) == ["c", "d", "a"]


def test_scores_are_of_plain_words():
    assert measure.bleu(["There is a Box."], ["there is a box"]) == pytest.approx(100)
    same = ["a red ball", "two blue boxes"]
    assert measure.score_of(same, ["A red ball!", "two blue boxes"], d=True) == pytest.approx(7.5)


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole):
    assert state_of(whole) == "done"
    rows, summary = evaluations(whole), summary_of(whole)
    assert rows[-1]["loss"] < rows[0]["loss"]
    kept = json.loads((whole / "captions.json").read_text())
    right = np.mean([row["greedy"] == row["reference"] for row in kept])
    assert summary["test captions right"] == right and len(kept) == 200
    attended = json.loads((whole / "attended.json").read_text())
    data = read_captions(CaptionSource(captions="made"))
    assert [len(each) for each in attended] == (data.test.scenes.labels >= 0).sum(axis=1).tolist()
    assert {"report.html", "attended.png", "attention1.png", "captions.png"} <= {
        path.name for path in whole.iterdir()
    }


@pytest.mark.slow
def test_the_model_describes_arrays_and_files(whole, tmp_path):
    model = rnnlab.load(whole)
    data = read_captions(CaptionSource(captions="made"))
    kept = json.loads((whole / "captions.json").read_text())[:4]
    answers = model.predict(data.test.pixels[:4])
    assert [each["answer"] for each in answers] == [row["beams"] for row in kept]
    greedy = model.predict(data.test.pixels[:4], beams=1)
    assert [each["answer"] for each in greedy] == [row["greedy"] for row in kept]
    pixels = np.where(data.test.pixels[0, ..., 0] < 100, 0, 255).astype(np.uint8)
    for name, image in {"light.png": pixels, "dark.png": 255 - pixels}.items():
        Image.fromarray(image).convert("RGBA").save(tmp_path / name)
    names = [str(tmp_path / name) for name in ("light.png", "dark.png")]
    one, other = model.predict(names)
    assert one["answer"] == other["answer"] and one["line"] == names[0]
    assert one["answer"] == model.predict(pixels[None, ..., None])[0]["answer"]
    Image.new("L", (300, 20), 7).save(tmp_path / "blank.gif")
    with pytest.raises(UsageError, match=r"blank\.gif: is of one colour"):
        model.predict([tmp_path / "blank.gif"])
    model.show(names[0], tmp_path / "shown.png")
    assert (tmp_path / "shown.png").stat().st_size > 1000
    assert model.predict([]) == []
    with pytest.raises(UsageError, match=r"none\.png: No such file"):
        model.predict([names[0], "none.png"])
    with pytest.raises(UsageError, match=r"pictures: have the shape \[1, 9, 9, 1\]"):
        model.predict(np.zeros((1, 9, 9, 1), np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("hand_over", ["state", "first", "input", "output"])
def test_other_hand_overs_run_and_have_no_attention(tmp_path, hand_over):
    run(tmp_path / "w", hand_over=hand_over, steps=2, warmup=0)
    assert not (tmp_path / "w" / "attended.json").exists()
    pixels = np.zeros((24, 24), np.uint8)
    pixels[3:9, 4] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    rnnlab.load(tmp_path / "w").show(str(tmp_path / "a.png"), tmp_path / "b.png")


@pytest.mark.slow
def test_tiny_preset(tmp_path):
    names = run_tiny(captioning, tmp_path / "w")
    assert {"report.html", "summary.json", "captions.png", "curve.png"} <= names
    assert summary_of(tmp_path / "w")["test captions right"] > 0.5
    assert summary_of(tmp_path / "w")["attention on the digit being named, mean"] > 0.5


@pytest.mark.slow
def test_drawings_with_sentences_of_people(tmp_path, monkeypatch):
    """Both baselines beside the network, on drawings that are made here."""
    rng = np.random.default_rng(0)
    colours = {"red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 255, 0)}

    def load(data_dir, manual_dir, split):
        words = [list(colours)[n] for n in rng.integers(0, 3, 24)]
        pixels = np.stack([np.full((50, 200, 3), colours[word], np.uint8) for word in words])
        return pixels, [f"There is a {word} box." for word in words]

    from rnnlab.data import captions

    monkeypatch.setattr(captions, "found", lambda module, name: load)
    run(tmp_path / "w", captions="nlvr")
    summary, kept = (
        summary_of(tmp_path / "w"),
        json.loads((tmp_path / "w/captions.json").read_text()),
    )
    assert all(row["nearest image"] == row["reference"] for row in kept)
    assert summary["test BLEU-4, nearest image"] == pytest.approx(100)
    assert len({row["language model"] for row in kept}) == 1
    assert (tmp_path / "w" / "blind" / "metrics.jsonl").exists()


# --- interruptions ---

SCRIPT = """
import sys
sys.path[:0] = [{root!r}]
import jax
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
from pathlib import Path
from tests.experiments import test_captioning

test_captioning.killing({step}, {delay})
test_captioning.run(Path({folder!r}))
"""


def killing(step, delay):
    """From the evaluation after that training step on, the process ends a while later."""
    import threading

    ask = CaptionLoss.__call__

    def call(self, params, at):
        values = ask(self, params, at)
        if at >= step:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return values

    CaptionLoss.__call__ = call


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, tmp_path):
    """Resumed, it ends with the same bytes; twice killed, too."""
    folder, codes = tmp_path / "w", []
    for step in (0, 4):
        code = SCRIPT.format(
            root=str(ROOT), folder=str(folder), step=step, delay=random.random() * 0.5
        )
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=900)
        codes.append(done.returncode)
    assert set(codes) <= {0, -signal.SIGKILL} and -signal.SIGKILL in codes
    run(folder)
    assert_same(whole, folder, WRITTEN)


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"captions": "coco"}, "captions=coco: must be scenes or nlvr or made"),
        ({"hand_over": "both"}, "hand_over=both: must be attention or"),
        ({"feeding": "x"}, "feeding=x"),
        ({"channels": ()}, r"channels=\(\)"),
        ({"pooled": 3}, "pooled=3: there are 2 layers only"),
        ({"channels": (2,) * 6, "pooled": 5}, "pooled=5: so many layers .* 24 by 24 pixels"),
        ({"size": 2}, "size=2: must be odd"),
        ({"attention": "dot"}, "features=6: must be hidden for attention=dot"),
        ({"doubly_stochastic": -1.0}, "doubly_stochastic=-1.0"),
        ({"beams": 0}, "beams=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        config_of(**changes)
    assert "\n" not in str(error.value)
