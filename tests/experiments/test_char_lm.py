"""The character model on a text that the test makes: what it writes, its resumption, its errors."""

import dataclasses
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

from experiments import _char_cells, _char_text, _corpus, char_lm
from rnnlab.data import split_text
from rnnlab.data.spelling import spelled_words
from rnnlab.errors import UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from tests import quick
from tests.experiments.runs import assert_same, copy, evaluations, state_of

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "hidden": 24,
    "batch": 8,
    "length": 16,
    "steps": 40,
    "learning_rate": 0.02,
    "warmup": 4,
    "samples": (10, 40),
    "sample_characters": 60,
    "evaluate_every": 20,
    "checkpoint_every": 10,
    "chunk": 10,
}
WRITTEN = ("metrics.jsonl", "samples/000010.txt", "samples/000040.txt")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text(_char_text.made_text(120), encoding="utf-8")
    return path


def run(folder, corpus, **changes):
    settings: dict[str, Any] = {"corpus": str(corpus), **SMALL, **changes}
    config = char_lm.Config(**settings)
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "char_lm", config) as workdir:
        char_lm.run(config, workdir)


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, corpus)
    return folder


# --- what it learns and writes ---


def test_it_learns_and_everything_is_there(whole, corpus):
    rows = evaluations(whole)
    assert [row["step"] for row in rows] == [0, 10, 20, 40]
    summary = json.loads((whole / "summary.json").read_text())
    characters = len(set(corpus.read_text()))
    assert rows[0]["validation"] == pytest.approx(np.log(characters), abs=0.3)
    assert rows[-1]["validation"] < 0.9 * summary["without context"]
    best = min(rows, key=lambda row: row["validation"])
    assert summary["best step"] == best["step"] and summary["validation"] == best["validation"]
    assert abs(summary["test"] - summary["validation"]) < 0.3
    assert all(len((whole / name).read_text()) == 60 for name in WRITTEN[1:])
    page = (whole / "report.html").read_text()
    assert page.count("data:image/png") == 2 and page.count("<pre>") == 2
    assert "position in the line" in page and "inside quotes" in page
    assert state_of(whole) == "done"


def test_the_loss_without_context_is_the_entropy_of_frequencies():
    codes = np.array([0, 0, 1, 2])
    assert char_lm._entropy(codes, 4) == pytest.approx(1.5 * np.log(2))


def test_the_same_command_changes_nothing(whole, corpus, tmp_path, capsys):
    folder = copy(whole, tmp_path / "w")
    run(folder, corpus)
    assert_same(whole, folder, WRITTEN)
    assert "test" in capsys.readouterr().out


@pytest.mark.slow
def test_layers_dropout_embedding_and_another_cell(corpus, tmp_path):
    changes = {"cell": "gru", "layers": 2, "dropout": 0.2, "embedding": 6, "hidden": 12}
    run(tmp_path, corpus, **changes, compute="bfloat16", steps=10, samples=())
    assert [row["step"] for row in evaluations(tmp_path)] == [0, 10]
    assert not list((tmp_path / "samples").iterdir())


# --- interruptions ---

SCRIPT = """
import os, signal, sys, threading, time
sys.path[:0] = [{root!r}]
import jax
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
from pathlib import Path
from experiments import char_lm
from tests.experiments import test_char_lm

evaluation = char_lm.evaluation

def killing(*arguments):
    evaluate = evaluation(*arguments)
    def measure(params, step):
        values = evaluate(params, step)
        if step >= {step}:
            threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGKILL)).start()
            time.sleep(0.03)
        return values
    return measure

char_lm.evaluation = killing
test_char_lm.run(Path({folder!r}), {corpus!r})
"""


def test_killed_at_a_random_moment(whole, corpus, tmp_path):
    folder = tmp_path / "w"
    code = SCRIPT.format(
        root=str(ROOT),
        folder=str(folder),
        corpus=str(corpus),
        step=random.choice((10, 20)),
        delay=random.random() * 0.3,
    )
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    # The path of the corpus is part of no file that is compared, so that both runs share it.
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=100)
    assert done.returncode in (0, -signal.SIGKILL)
    run(folder, corpus)
    assert_same(whole, folder, WRITTEN)


@pytest.mark.slow
def test_interrupted_in_an_evaluation(whole, corpus, tmp_path, monkeypatch):
    original = char_lm.evaluation

    def interrupting(*arguments):
        evaluate = original(*arguments)

        def measure(params, step):
            if step == 20:
                signal.raise_signal(signal.SIGINT)
            return evaluate(params, step)

        return measure

    monkeypatch.setattr(char_lm, "evaluation", interrupting)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, corpus)
    assert state_of(tmp_path) == "interrupted"
    monkeypatch.setattr(char_lm, "evaluation", original)
    run(tmp_path, corpus, generate=5)
    assert state_of(tmp_path) == "interrupted"
    run(tmp_path, corpus)
    assert_same(whole, tmp_path, WRITTEN)
    assert state_of(tmp_path) == "done"


# --- writing with a checkpoint ---


def written(capsys, folder, corpus, **changes):
    capsys.readouterr()
    run(folder, corpus, **changes)
    return capsys.readouterr().out


def test_it_writes(whole, corpus, tmp_path, capsys):
    folder = copy(whole, tmp_path / "w")
    before = {path: path.read_bytes() for path in folder.glob("*.json*")}
    texts = [
        written(capsys, folder, corpus, generate=40, prompt="Anna ", **settings)
        for settings in ({}, {"draw": 1}, {"top_k": 1}, {"temperature": 0.0})
    ]
    assert all(text.startswith("Anna ") and len(text) == 5 + 40 + 1 for text in texts)
    assert texts[0] != texts[1] and texts[2] == texts[3]
    assert set("".join(texts)) <= set(corpus.read_text())
    assert len(written(capsys, folder, corpus, generate=7)) == 8
    after = {path: path.read_bytes() for path in folder.glob("*.json*")}
    assert {p.name for p in after if after[p] != before[p]} == {"status.json"}
    assert state_of(folder) == "done"


def test_writing_needs_no_corpus(whole, corpus, tmp_path, capsys):
    """The characters are those of the checkpoint, wherever the text has gone."""
    folder = copy(whole, tmp_path / "w")
    with mock.patch.object(char_lm, "read_corpus", side_effect=AssertionError):
        assert len(written(capsys, folder, corpus, generate=3)) == 4


def test_writing_needs_a_checkpoint_and_known_characters(whole, corpus, tmp_path):
    with pytest.raises(UsageError, match=r"generate=5: .* holds no checkpoint; train first"):
        run(tmp_path, corpus, generate=5)
    with pytest.raises(UsageError, match=r"prompt='Ünd'.*'Ü'"):
        run(copy(whole, tmp_path / "b"), corpus, generate=5, prompt="Ünd")


# --- bad input ---


def test_a_text_that_has_changed(whole, corpus, tmp_path):
    folder, path = copy(whole, tmp_path / "w"), tmp_path / "corpus.txt"
    record = json.loads((folder / "config.json").read_text())
    record["config"]["corpus"] = str(path)
    (folder / "config.json").write_text(json.dumps(record))
    path.write_text(corpus.read_text() + "§")
    with pytest.raises(UsageError, match=r"^corpus=.*\(they differ in '§'\); choose another"):
        run(folder, path)
    path.write_text(corpus.read_text()[::-1])
    with pytest.raises(UsageError, match=r"^corpus=.*: is another text now than the one of"):
        run(folder, path)
    path.write_text(corpus.read_text())
    run(folder, path)
    assert_same(whole, folder, WRITTEN)


@pytest.mark.slow
def test_a_checkpoint_of_another_network(whole, corpus, tmp_path):
    folder = copy(whole, tmp_path / "w")
    for changes in ({"hidden": 12}, {"hidden": 12, "generate": 5}, {"cell": "gru"}):
        with pytest.raises(UsageError, match="holds another configuration"):
            run(folder, corpus, **changes)
    record = json.loads((folder / "config.json").read_text())
    record["config"]["hidden"] = 12
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"is of another network .* there and .* here") as error:
        run(folder, corpus, hidden=12, generate=5)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", r"^corpus=.*: is empty"),
        (b"to be", r"^corpus=.*: has 5 characters, too few"),
        (b"abc\xff" * 100, r"^corpus=.*: not UTF-8 at byte 3"),
        (b"to be or not to be " * 7, r"^batch=8, length=16: a window needs 136 codes and the"),
        (None, r"^corpus=.*: no such file"),
    ],
)
def test_a_text_that_cannot_be_used(tmp_path, contents, message):
    path = tmp_path / "corpus.txt"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(UsageError, match=message) as error:
        run(tmp_path / "w", path)
    assert "\n" not in str(error.value) and state_of(tmp_path / "w") == "failed"


@pytest.mark.slow
def test_a_learning_rate_that_diverges(corpus, tmp_path, capsys):
    changes = {"optimiser": "sgd", "learning_rate": 1e38, "clip_norm": 0.0, "cell": "relu"}
    run(tmp_path, corpus, **changes, warmup=0, steps=20)
    assert state_of(tmp_path) == "diverged"
    assert "diverged at step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "lstn"}, "cell='lstn'.*did you mean 'lstm'"),
        ({"hidden": 0}, "hidden=0"),
        ({"layers": 0}, "layers=0"),
        ({"batch": -1}, "batch=-1"),
        ({"steps": 0}, "steps=0"),
        ({"embedding": -1}, "embedding=-1"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"optimiser": "adm"}, "optimiser='adm'"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"schedule": "x"}, "schedule='x'"),
        ({"warmup": 40}, "warmup=40"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
        ({"samples": (0,)}, "samples="),
        ({"strategy": "x"}, "strategy='x'"),
        ({"compute": "float16"}, "compute='float16'"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"top_k": -1}, "top_k=-1"),
        ({"generate": -1}, "generate=-1"),
        ({"tiny": True, "large": True}, "tiny=true, large=true"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        char_lm.Config(**(SMALL | changes))
    assert "\n" not in str(error.value)


# --- settings and parts ---


def test_settings():
    tiny = char_lm.Config(tiny=True, generate=3, prompt="x").chosen()
    assert (tiny.corpus, tiny.hidden, tiny.generate, tiny.prompt) == ("made", 64, 3, "x")
    given = char_lm.Config(tiny=True, corpus="x.txt", steps=150).chosen()
    assert (given.corpus, given.steps, given.hidden) == ("x.txt", 150, 64)
    large = char_lm.Config(large=True, cell="gru").chosen()
    assert (large.corpus, large.cell, large.layers) == ("tiny_shakespeare", "gru", 2)
    plain = char_lm.Config()
    assert plain.chosen() == plain
    assert all(hasattr(plain, name) for name in (*char_lm.TINY, *char_lm.LARGE))


def test_the_made_text_has_what_cells_can_follow():
    text = _char_text.made_text(200, seed=3)
    assert text == _char_text.made_text(200, seed=3) != _char_text.made_text(200, seed=4)
    assert max(map(len, text.splitlines())) <= 60 and text.count('"') > 50
    assert {"anna", "river", "asked"} <= set(spelled_words(text))
    assert len(split_text(_char_text.made_text(_corpus.SENTENCES))["validation"]) > 1000


def test_features_of_a_text():
    found = _char_cells.features('a "b)\n(c d"\n\n"e\n\nf')
    #        a   _  "  b  )  \n (  c  _  d  "  \n \n "  e \n \n f
    quotes = [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0]
    column = [1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 0, 1, 2, 0, 0, 1]
    inside = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert found["inside quotes"].tolist() == quotes
    assert found["position in the line"].tolist() == column
    assert found["inside brackets"].tolist() == inside
    assert _char_cells.features("ab c")["position in the word"].tolist() == [1, 2, 0, 1]


def test_the_cell_that_follows_is_found_and_checked_elsewhere():
    text = _char_text.made_text(60)
    rng = np.random.default_rng(0)
    column = _char_cells.features(text)["position in the line"]
    layers = [rng.normal(size=(len(text), 5)), rng.normal(size=(len(text), 5))]
    layers[1][:, 3] = 1 - 0.01 * column
    found = {one.feature: one for one in _char_cells.followers(text, layers)}
    line = found["position in the line"]
    assert (line.layer, line.unit) == (2, 3)
    assert line.found == pytest.approx(-1) and line.checked == pytest.approx(-1)
    quotes = found["inside quotes"]
    half = len(text) // 2
    expected = np.corrcoef(layers[quotes.layer - 1][half:, quotes.unit], quotes.targets)[0, 1]
    assert quotes.checked == pytest.approx(expected) and abs(quotes.checked) < 0.2
    assert "inside brackets" not in found


def test_memories_are_the_cells_states():
    config = char_lm.Config(cell="lstm", layers=2, hidden=5, dropout=0.1)
    model = config.model(4)
    params = model.init(char_lm.jax.random.key(0))
    codes = np.array([0, 3, 1, 2], np.int32)
    first, second = _char_cells.memories(model, params, codes)
    assert first.shape == second.shape == (4, 5)
    state, _ = model.run(params, codes[:, None], model.initial_state(1))
    np.testing.assert_allclose(first[-1], np.tanh(state[0].c[0]), rtol=1e-5)
    np.testing.assert_allclose(second[-1], np.tanh(state[2].c[0]), rtol=1e-5)


def test_letters_that_a_font_lacks(tmp_path):
    text = "日本 $x$ \\frac \t" * 200
    layers = [np.random.default_rng(0).normal(size=(len(text), 2))]
    with char_lm._char_report.plots.style():
        figure = _char_cells.draw(text[len(text) // 2 :], _char_cells.followers(text, layers))
        char_lm._char_report.plots.save(figure, tmp_path / "p.png")


def test_no_field_is_lost_between_settings():
    fields = {field.name for field in dataclasses.fields(char_lm.Config)}
    assert set(char_lm.Config.FREE) <= fields
