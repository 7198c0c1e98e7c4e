"""The character model on a text that the test makes: what it writes, its resumption, its errors."""

import json
import random
import signal
from typing import Any
from unittest import mock

import jax
import numpy as np
import pytest

import rnnlab
from experiments import char_lm
from experiments.char_lm import cells, measure
from rnnlab import plots
from rnnlab.data.made_text import made_text
from rnnlab.errors import UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.settings import LanguageNetwork
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.runs import assert_same, copy, evaluations, state_of
from tests.experiments.settings import assert_recorded, changed, trainings

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
    "dispatch": 10,
}
WRITTEN = ("metrics.jsonl", "samples/000010.txt", "samples/000040.txt")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text(made_text(120), encoding="utf-8")
    return path


def run(folder, corpus, **changes):
    config = changed(char_lm.Config(), **{"corpus": str(corpus), **SMALL, **changes})
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "char_lm", config) as workdir:
        workdir.end(char_lm.run(config, workdir))


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
    assert measure.entropy(codes, 4) == pytest.approx(1.5 * np.log(2))


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


class Watched(Evaluator):
    """An evaluator, and what is done before and after each evaluation."""

    def __init__(self, evaluator, before, after):
        self._evaluator, self._before, self._after = evaluator, before, after

    def __call__(self, params, step):
        self._before(step)
        values = self._evaluator(params, step)
        self._after(step)
        return values


def at_evaluations(before=lambda step: None, after=lambda step: None):
    original = measure.evaluator
    watched = lambda *arguments: Watched(original(*arguments), before, after)  # noqa: E731
    return mock.patch.object(measure, "evaluator", watched)


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, corpus, tmp_path):
    folder, number = tmp_path / "w", random.choice((2, 3))
    # The path of the corpus is part of no file that is compared, so that both runs share it.
    killed(run, folder, str(corpus), number=number, delay=random.random() * 0.3)
    run(folder, corpus)
    assert_same(whole, folder, WRITTEN)


@pytest.mark.slow
def test_interrupted_in_an_evaluation(whole, corpus, tmp_path):
    def interrupt(step):
        if step == 20:
            signal.raise_signal(signal.SIGINT)

    with at_evaluations(before=interrupt), pytest.raises(KeyboardInterrupt):
        run(tmp_path, corpus)
    assert state_of(tmp_path) == "interrupted"
    run(tmp_path, corpus)
    assert_same(whole, tmp_path, WRITTEN)
    assert state_of(tmp_path) == "done"


# --- bad input ---


def test_a_text_that_has_changed(whole, corpus, tmp_path):
    folder, path = copy(whole, tmp_path / "w"), tmp_path / "corpus.txt"
    record = json.loads((folder / "config.json").read_text())
    record["config"]["source"]["corpus"] = str(path)
    (folder / "config.json").write_text(json.dumps(record))
    path.write_text(corpus.read_text() + "§")
    with pytest.raises(UsageError, match=r"^corpus=.*\(they differ in '§'\); choose another"):
        run(folder, path)
    path.write_text(corpus.read_text()[::-1])
    with pytest.raises(UsageError, match=r"^corpus=.*: the text has changed since"):
        run(folder, path)
    path.write_text(corpus.read_text())
    run(folder, path)
    assert_same(whole, folder, WRITTEN)


@pytest.mark.slow
def test_a_checkpoint_of_another_network(whole, corpus, tmp_path):
    folder = copy(whole, tmp_path / "w")
    for changes in ({"hidden": 12}, {"cell": "gru"}):
        with pytest.raises(UsageError, match="holds another configuration"):
            run(folder, corpus, **changes)
    record = json.loads((folder / "config.json").read_text())
    record["config"]["network"]["hidden"] = 12
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"is of another network .* there and .* here") as error:
        run(folder, corpus, hidden=12)
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
        ({"compute": "float16"}, "compute=float16"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(char_lm.Config(), **(SMALL | changes))
    assert "\n" not in str(error.value)


# --- settings and parts ---


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "large"])
def test_what_is_recorded_is_trained(tmp_path, name, monkeypatch):
    """A preset's values, on a text and for a time that fit a test, in record, network and plan."""
    preset = char_lm.PRESETS[name]
    quick_ones = {"corpus": "made", "steps": 2, "warmup": 0, "sample_characters": 5}
    config = changed(preset, **quick_ones, batch=4, length=8, hidden=preset.network.hidden // 16)
    with trainings(measure) as made, open_workdir(tmp_path, "char_lm", config) as workdir:
        assert char_lm.run(config, workdir) == "done"
    assert_recorded(tmp_path, "char_lm", config)
    ((learner, plan, _),) = made
    layers = jax.eval_shape(learner.init, jax.random.key(0))["cell"]
    layers = [layer for layer in layers if layer]
    assert [layer["wh"].shape[0] for layer in layers] == preset.network.layers * [
        preset.network.hidden // 16
    ]
    assert (plan.steps, plan.units_per_update) == (2, 32)


def test_presets():
    tiny, large = char_lm.PRESETS["tiny"], char_lm.PRESETS["large"]
    assert (tiny.source.corpus, tiny.network.hidden, tiny.training.steps) == ("made", 64, 300)
    assert (large.source.corpus, large.network.hidden, large.network.layers) == (
        "tiny_shakespeare",
        384,
        2,
    )
    assert (large.network.dropout, large.training.warmup) == (0.3, 100)


def test_features_of_a_text():
    found = cells.features('a "b)\n(c d"\n\n"e\n\nf')
    #        a   _  "  b  )  \n (  c  _  d  "  \n \n "  e \n \n f
    quotes = [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0]
    column = [1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 0, 1, 2, 0, 0, 1]
    inside = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert found["inside quotes"].tolist() == quotes
    assert found["position in the line"].tolist() == column
    assert found["inside brackets"].tolist() == inside
    assert cells.features("ab c")["position in the word"].tolist() == [1, 2, 0, 1]


def test_the_cell_that_follows_is_found_and_checked_elsewhere():
    text = made_text(60)
    rng = np.random.default_rng(0)
    column = cells.features(text)["position in the line"]
    layers = [rng.normal(size=(len(text), 5)), rng.normal(size=(len(text), 5))]
    layers[1][:, 3] = 1 - 0.01 * column
    found = {one.feature: one for one in cells.followers(text, layers)}
    line = found["position in the line"]
    assert (line.layer, line.unit) == (2, 3)
    assert line.found == pytest.approx(-1) and line.checked == pytest.approx(-1)
    quotes = found["inside quotes"]
    half = len(text) // 2
    expected = np.corrcoef(layers[quotes.layer - 1][half:, quotes.unit], quotes.targets)[0, 1]
    assert quotes.checked == pytest.approx(expected) and abs(quotes.checked) < 0.2
    assert "inside brackets" not in found
    # Of five cells of noise one always comes closest; that is no finding.
    assert line.follows and not quotes.follows
    assert quotes.interval[0] < 0 < quotes.interval[1] or abs(quotes.checked) < cells.LEAST


@pytest.mark.parametrize(
    ("found", "interval", "follows"),
    [
        (0.5, (0.31, 0.7), True),
        (-0.5, (-0.7, -0.31), True),
        (0.5, (0.29, 0.7), False),
        (0.5, (-0.7, -0.31), False),  # of the other sign where it was chosen
    ],
)
def test_what_counts_as_following(found, interval, follows):
    none = np.zeros(0)
    one = cells.Follower("inside quotes", 1, 0, found, 0.5, interval, none, none)
    assert one.follows == follows


@pytest.mark.slow
def test_memories_are_the_cells_states():
    model = LanguageNetwork(cell="lstm", layers=2, hidden=5, dropout=0.1).model(4)
    params = model.init(jax.random.key(0))
    codes = np.array([0, 3, 1, 2], np.int32)
    first, second = cells.memories(model, params, codes)
    assert first.shape == second.shape == (4, 5)
    state, _ = model.run(params, codes[:, None], model.initial_state(1))
    np.testing.assert_allclose(first[-1], np.tanh(state[0].c[0]), rtol=1e-5)
    np.testing.assert_allclose(second[-1], np.tanh(state[2].c[0]), rtol=1e-5)


@pytest.mark.slow
def test_letters_that_a_font_lacks(tmp_path):
    text = "日本 $x$ \\frac \t" * 200
    layers = [np.random.default_rng(0).normal(size=(len(text), 2))]
    with plots.style():
        figure = cells.plot(text[len(text) // 2 :], cells.followers(text, layers))
        plots.save(figure, tmp_path / "p.png")


@pytest.mark.slow
def test_no_evaluation_beats_the_first(corpus, tmp_path):
    changes = {"learning_rate": 5.0, "steps": 10, "samples": (10,), "warmup": 0}
    run(tmp_path, corpus, **changes)
    first, last = evaluations(tmp_path)
    assert last["validation"] > first["validation"] + 0.5
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["best step"] == 0 and summary["validation"] == first["validation"]
    assert summary["test"] == pytest.approx(first["validation"], abs=0.2)
    assert rnnlab.load(tmp_path).step == 0 and rnnlab.load(tmp_path, "last").step == 10
