"""Trained models in use: in a process of their own, beside the training, and asked wrongly."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab
from experiments import char_lm, sequential_mnist, word_lm
from experiments.char_lm import measure
from rnnlab.data.images import made_images
from rnnlab.errors import RunError, UsageError
from rnnlab.nn.decoding import Choice
from rnnlab.run import sources
from rnnlab.run.workdir import open_workdir
from rnnlab.trained import ImageClassifier, TextModel
from rnnlab.training import checkpoint_files, devices, generation
from rnnlab.training.images import Examination
from tests import quick
from tests.experiments.settings import changed
from tests.training.measured import Measured

ROOT = Path(__file__).parents[2]
CHARACTERS = changed(
    char_lm.PRESETS["tiny"],
    hidden=24,
    embedding=5,
    steps=60,
    samples=(),
    sample_characters=10,
    evaluate_every=20,
    checkpoint_every=20,
)
WORDS = changed(word_lm.PRESETS["tiny"], hidden=12, embedding=6, dropout=0.1, words=20, epochs=2)
#: The fixtures of trained language models; that of words takes longer.
LANGUAGES = ["characters", pytest.param("words", marks=pytest.mark.slow)]
IMAGES = changed(
    sequential_mnist.PRESETS["tiny"], order="rows", hidden=12, epochs=1, dropout=0.1, layers=2
)


def train(folder, experiment, config):
    name = experiment.__name__.rpartition(".")[2]
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, name, config) as workdir:
        assert experiment.run(config, workdir) == "done"
    return folder


@pytest.fixture(scope="module")
def characters(tmp_path_factory):
    return train(tmp_path_factory.mktemp("characters"), char_lm, CHARACTERS)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return train(tmp_path_factory.mktemp("words"), word_lm, WORDS)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return train(tmp_path_factory.mktemp("images"), sequential_mnist, IMAGES)


def contents(folder):
    """Everything in a folder: hashes of the files, times at which files and folders changed."""
    return {
        path: (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in (folder, *folder.rglob("*"))
    }


# --- anywhere ---

SCRIPT = """
import math, sys
sys.modules["experiments"] = None  # as where they are not installed: importing them fails

import rnnlab
model = rnnlab.load({folder!r})
print(model.generate("Anna", 20))

(answer,) = model.predict(["Anna saw the river"])
assert 0 < answer["nats"] < math.log(model.vocabulary.size) and model.step > 0
"""


@pytest.mark.parametrize("name", LANGUAGES)
@pytest.mark.slow
def test_three_lines_in_a_fresh_process_leave_the_run_untouched(name, request, tmp_path):
    folder = request.getfixturevalue(name)
    (tmp_path / "library").mkdir()
    (tmp_path / "library/rnnlab").symlink_to(ROOT / "rnnlab")
    before = contents(folder)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(folder=str(folder))],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "library"), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Anna") and len(done.stdout) >= 4 + 20
    assert contents(folder) == before


def test_importing_the_package_imports_nothing_else():
    code = "import rnnlab, sys; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
    assert "load" in dir(rnnlab)
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = rnnlab.lod  # pyright: ignore[reportAttributeAccessIssue]


# --- texts ---


def load_text(workdir):
    model = rnnlab.load(workdir)
    assert isinstance(model, TextModel)
    return model


def plain_log_p(model, codes):
    """Log-probabilities `[N, V]` by the model itself, all at once."""
    _, logits = model.model.run(model.params, codes[:, None], model.model.initial_state(1))
    return np.asarray(jax.nn.log_softmax(logits[:, 0]))


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_call_gives_log_probabilities_of_the_next_symbol(name, request):
    model = load_text(request.getfixturevalue(name))
    text = "Anna saw the river .\n" * 9
    log_p = model(text)
    assert log_p.shape == (len(model.vocabulary.read(text)), model.vocabulary.size)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-5)
    expected = plain_log_p(model, model.vocabulary.read(text))
    np.testing.assert_allclose(log_p, expected, rtol=1e-4, atol=1e-5)
    assert model("").shape == (0, model.vocabulary.size)


@pytest.mark.parametrize("name", LANGUAGES)
def test_lines_are_scored_after_the_primer(name, request):
    model = load_text(request.getfixturevalue(name))
    lines = ["Anna saw the river", "", "Peter " * 30, *["Boris answered"] * 20]
    answers = model.predict(lines)
    assert [answer["line"] for answer in answers] == lines
    for answer in answers[:4]:
        primer, line = (model.vocabulary.read(t) for t in (model.primer, answer["line"] + "\n"))
        log_p = plain_log_p(model, np.concatenate([primer, line]))[len(primer) - 1 : -1]
        nats = -log_p[np.arange(len(line)), line]
        assert answer["symbols"] == len(line)
        assert answer["nats"] == pytest.approx(nats.mean(), rel=1e-4)
        assert answer["perplexity"] == pytest.approx(np.exp(nats.mean()), rel=1e-4)
    assert answers[3:] == [answers[3]] * 20 and json.loads(json.dumps(answers)) == answers
    assert model.predict([]) == []


def test_characters_are_generated_as_they_are_drawn(characters):
    model = load_text(characters)
    text = model.generate("Anna ", 30, temperature=0.7, top_k=5, seed=3)
    assert text.startswith("Anna ") and len(text) == 5 + 30
    assert "".join(islice(model.stream("Anna ", 0.7, 5, 3), 31)) == text
    assert model.generate("Anna ", 30, temperature=0.7, top_k=5, seed=4) != text
    prompt, key = model.vocabulary.read(model.primer + "Anna "), jax.random.key(3)
    choice = Choice(0.7, 5)
    drawn = jax.jit(
        lambda params: generation.sample(
            model.model, params, prompt, key, batch=1, count=30, choice=choice
        )
    )(model.params)
    assert model.vocabulary.write(np.asarray(drawn)[:, 0]) == text[5:]
    assert model.generate(count=0) == "" and len(model.generate(count=4)) == 4


@pytest.mark.slow
def test_words_have_spaces_between_them(words):
    model = load_text(words)
    text = model.generate("Anna saw", 40, seed=1)
    assert text.startswith("Anna saw") and "  " not in text and " \n" not in text
    assert len(model.vocabulary.read(text)) == 2 + 40
    assert model.generate("Anna ", 1, temperature=0).count(" ") == 1
    assert model.generate("", 1, temperature=0) in model.vocabulary.symbols


def test_unknown_characters(characters):
    model = load_text(characters)
    for ask in (model.generate, model.stream):
        with pytest.raises(UsageError, match=r"^prompt='Ünd': has 'Ü', which the model does not"):
            ask("Ünd")
    with pytest.raises(UsageError, match=r"^line='§': has '§'"):
        model.predict(["Anna", "§"])
    with pytest.raises(UsageError, match=r"^text='é'") as error:
        model("é")
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="temperature=-1"):
        model.generate(temperature=-1)
    with pytest.raises(UsageError, match="count=-1"):
        model.generate(count=-1)


@pytest.mark.slow
def test_unknown_words(words):
    model = load_text(words)
    assert "<unk>" in model.vocabulary.symbols
    assert np.array_equal(model("Anna §"), model("Anna <unk>"))


# --- images ---


def test_images_are_named(images):
    model = rnnlab.load(images)
    assert isinstance(model, ImageClassifier)
    shown = made_images(30, 9)
    log_p = model(shown.pixels)
    assert log_p.shape == (30, 10)
    result = Examination(model.model, shown)(model.params)
    assert -log_p[np.arange(30), shown.labels].mean() == pytest.approx(result.loss, rel=1e-6)
    answers = model.predict(shown.pixels)
    assert [int(answer["class"]) for answer in answers] == result.answers.tolist()
    assert answers[0]["probability"] == pytest.approx(np.exp(log_p[0].max()))
    (answer,) = model.predict(shown.pixels[0].tolist())
    assert answer["class"] == answers[0]["class"]
    assert model(shown.pixels[:0]).shape == (0, 10)


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        (np.zeros((2, 28, 28), int), r"shape \[2, 28, 28\]; it must be \[N, 8, 8\]"),
        (np.zeros((2, 8, 8)), "float64; pixels must be integers"),
        (np.full((8, 8), 256), r"256 \.\. 256 must be within 0 \.\. 255"),
        (["a line"], r"shape \[1\]"),
    ],
)
def test_images_of_another_kind(images, shown, message):
    with pytest.raises(UsageError, match=f"^images: .*{message}"):
        rnnlab.load(images)(shown)


# --- checkpoints ---


def test_the_best_and_the_last_checkpoint(characters, tmp_path):
    folder = tmp_path / "w"
    shutil.copytree(characters, folder)
    steps = sorted(int(path.name) for path in (folder / "checkpoints").iterdir())
    assert rnnlab.load(folder, "last").step == steps[-1] == 60
    path = folder / f"checkpoints/{steps[-1]}/contents/metadata"
    contents = json.loads(path.read_text())
    contents["note"]["best"] = [0.1, steps[0]]
    path.write_text(json.dumps(contents))
    best, last = rnnlab.load(folder), rnnlab.load(folder, checkpoint="last")
    assert (best.step, last.step) == (steps[0], 60)
    assert not np.array_equal(best("Anna"), last("Anna"))
    contents["note"]["best"] = None
    path.write_text(json.dumps(contents))
    assert rnnlab.load(folder).step == 60


def test_the_settings_of_the_run_are_there(characters):
    model = rnnlab.load(str(characters))
    recorded = json.loads((characters / "config.json").read_text())["config"]
    assert model.config == recorded
    assert model.network == CHARACTERS.network
    assert set(model.params) == {"cell", "embedding", "readout"}
    assert all(isinstance(leaf, jnp.ndarray) for leaf in jax.tree.leaves(model.params))


def test_loading_while_the_run_trains(characters, tmp_path):
    """At each evaluation; the run ends with the same bits as one that is left alone."""
    found, original = [], measure.evaluator

    def watching(*arguments):
        evaluator = original(*arguments)

        def evaluate(params, step):
            if step > 20:
                while not (tmp_path / "checkpoints/20").exists():
                    time.sleep(0.01)  # it is written beside the training
                found.append(rnnlab.load(tmp_path, "last").step)
            return evaluator(params, step)

        return Measured(evaluate)

    with mock.patch.object(measure, "evaluator", watching):
        train(tmp_path, char_lm, CHARACTERS)
    assert found and set(found) <= {20, 40}
    for name in ("metrics.jsonl", "model.json"):
        assert (tmp_path / name).read_bytes() == (characters / name).read_bytes()


def test_a_checkpoint_that_is_removed_while_it_is_read(characters, monkeypatch):
    original, calls = checkpoint_files.finished_steps, []

    def stale(folder):
        calls.append(1)
        return [*original(folder), 70] if len(calls) == 1 else original(folder)

    monkeypatch.setattr(checkpoint_files, "finished_steps", stale)
    assert rnnlab.load(characters, "last").step == 60


@pytest.mark.parametrize("victim", ["state/manifest.ocdbt", "state/d/*", "contents/metadata"])
def test_a_damaged_checkpoint(characters, tmp_path, victim):
    folder = tmp_path / "w"
    shutil.copytree(characters, folder)
    path = max((folder / "checkpoints/60").glob(victim), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:20])
    before = contents(folder)
    with pytest.raises(RunError, match=r"checkpoints: the checkpoint of step 60 is damaged") as e:
        rnnlab.load(folder, "last")
    assert "\n" not in str(e.value) and contents(folder) == before


# --- wrong use ---


def test_what_cannot_be_loaded(characters, tmp_path):
    with pytest.raises(UsageError, match=r"^workdir=.*none: no such folder$"):
        rnnlab.load(tmp_path / "none")
    with pytest.raises(UsageError, match=r"^workdir=.*: is not a work directory"):
        rnnlab.load(tmp_path)
    with pytest.raises(UsageError, match=r"^checkpoint='worst': must be 'best' or 'last'"):
        rnnlab.load(characters, "worst")  # pyright: ignore[reportArgumentType]
    folder = tmp_path / "w"
    shutil.copytree(characters, folder)
    (folder / "model.json").write_text('{"kind": "characters"')
    with pytest.raises(RunError, match=r"model\.json: is damaged"):
        rnnlab.load(folder)
    description = json.loads((characters / "model.json").read_text())
    description["network"]["new"] = 1
    (folder / "model.json").write_text(json.dumps(description))
    with pytest.raises(RunError, match=r"model\.json: is damaged or of another version"):
        rnnlab.load(folder)
    del description["network"]["new"]
    description["network"]["hidden"] = 25
    (folder / "model.json").write_text(json.dumps(description))
    with pytest.raises(UsageError, match="checkpoint of step 60: is of another network"):
        rnnlab.load(folder)
    (folder / "model.json").unlink()
    with pytest.raises(UsageError, match=r"holds no model\.json; the experiment char_lm keeps no"):
        rnnlab.load(folder)
    shutil.copy(characters / "model.json", folder)
    shutil.rmtree(folder / "checkpoints")
    for checkpoint in ("best", "last"):
        with pytest.raises(UsageError, match="there is no checkpoint yet; train first") as error:
            rnnlab.load(folder, checkpoint)
    assert "\n" not in str(error.value) and not (folder / "checkpoints").exists()


def test_a_cell_that_was_changed_since_it_was_trained(characters, tmp_path, monkeypatch):
    folder = tmp_path / "w"
    shutil.copytree(characters, folder)
    status = json.loads((folder / "status.json").read_text())
    assert set(status["sources"]) == {"rnnlab", "experiment"}
    status["sources"] |= {"rnnlab": "of an older version", "my_cells": "1"}
    (folder / "status.json").write_text(json.dumps(status))
    here = {"rnnlab": "of this version", "my_cells": "1"}
    monkeypatch.setattr(sources, "of", lambda config: here)
    assert rnnlab.load(folder).step == 60
    here["my_cells"] = "2"
    with pytest.raises(UsageError, match=r"^workdir=.*: the module my_cells has changed since"):
        rnnlab.load(folder)
    assert rnnlab.load(folder, accept_changes=True).step == 60
