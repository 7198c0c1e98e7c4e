"""The word model on texts that the tests make: its perplexities, its resumption, its errors."""

import json
import random
from itertools import pairwise
from typing import Any
from unittest import mock

import jax
import numpy as np
import pytest

from experiments import word_lm
from experiments.word_lm import measure
from experiments.word_lm.config import published
from rnnlab.combinators import Stack
from rnnlab.data.corpus import read_words
from rnnlab.data.made_text import made_lines
from rnnlab.errors import UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.training import devices, log, optimisers
from rnnlab.training.checkpoints import Checkpoints
from rnnlab.training.language import TextLoss
from tests import quick
from tests.experiments.kills import killed
from tests.experiments.runs import assert_same, copy, evaluations, state_of, summary_of
from tests.experiments.settings import assert_recorded, changed, trainings

SMALL: dict[str, Any] = {
    "embedding": 6,
    "hidden": 7,
    "dropout": 0.1,
    "uniform": 0.4,
    "batch": 4,
    "length": 8,
    "epochs": 3,
    "learning_rate": 2.0,
    "constant_epochs": 2,
    "clip_norm": 2.0,
    "dispatch": 9,
}
WRITTEN = ("metrics.jsonl", "corpus.json")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text(made_lines(120), encoding="utf-8")
    return path


def run(folder, corpus, **changes):
    config = changed(word_lm.Config(), **{"corpus": str(corpus), **SMALL, **changes})
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "word_lm", config) as workdir:
        workdir.end(word_lm.run(config, workdir))


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, corpus)
    return folder


# --- what it learns and writes ---


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole, corpus):
    rows, summary = evaluations(whole), summary_of(whole)
    count = int(0.9 * len(corpus.read_text().replace("\n", " <eos> ").split()))
    epoch = (count // 4 - 1) // 8
    assert [row["step"] for row in rows] == [0, epoch, 2 * epoch, 3 * epoch]
    assert rows[0]["perplexity"] == pytest.approx(summary["words"], rel=0.1)
    assert rows[-1]["perplexity"] < 0.5 * summary["words"]
    best = min(range(4), key=lambda n: rows[n]["validation"])
    assert summary["best epoch"] == best
    assert summary["validation perplexity"] == pytest.approx(np.exp(rows[best]["validation"]))
    assert summary["test perplexity"] == pytest.approx(np.exp(summary["test"]))
    assert summary["test perplexity published"] is None
    assert "spectral_radius/1.i" in rows[0] and "log10_adjoint/4" in rows[0]
    page = (whole / "report.html").read_text()
    assert page.count("data:image/png") == 1 and page.count("<pre>") == 1
    assert "What it expects" in page and "Anna" in page
    assert state_of(whole) == "done"


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def nats_of(params, codes):
    """Cross-entropy of each word but the first: two LSTM layers, word by word, in NumPy."""
    layers = [layer for layer in params["cell"] if layer]
    states = [(np.zeros(7), np.zeros(7)) for _ in layers]
    found = []
    for code, target in pairwise(codes):
        y = params["embedding"][code]
        for n, layer in enumerate(layers):
            h, c = states[n]
            i, f, g, o = np.split(y @ layer["wx"] + h @ layer["wh"] + layer["b"], 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            y = sigmoid(o) * np.tanh(c)
            states[n] = (y, c)
        logits = y @ params["readout"]["w"] + params["readout"]["b"]
        found.append(np.log(np.exp(logits).sum()) - logits[target])
    return np.array(found)


def best_params(folder, corpus):
    config = changed(word_lm.Config(), corpus=str(corpus), **SMALL)
    read = read_words(config.source, config.words)
    model = config.network.model(read.vocabulary.size)
    learner = measure.learner_of(config, model, 1)
    checkpoints = Checkpoints(folder / "checkpoints")
    state = checkpoints.best(learner.start(jax.random.key(0)))
    checkpoints.close()
    assert state is not None
    return read, jax.tree.map(lambda a: np.asarray(a, np.float64), state.params)


@pytest.mark.slow
def test_the_test_perplexity_is_that_of_a_plain_loop(whole, corpus):
    """One text from its first word, without dropout, with the best checkpoint."""
    read, params = best_params(whole, corpus)
    expected = nats_of(params, read.codes("test")).mean()
    assert summary_of(whole)["test"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_the_validation_loss_is_that_of_its_parts(whole, corpus):
    read, params = best_params(whole, corpus)
    codes = read.codes("validation")
    size = -(-(len(codes) - 1) // (measure.ROWS * 8)) * 8
    starts = range(0, len(codes) - 1, size)
    nats = [nats_of(params, codes[start : start + size + 1]) for start in starts]
    row = min(evaluations(whole), key=lambda row: row["validation"])
    assert row["validation"] == pytest.approx(np.concatenate(nats).mean(), rel=1e-5)


def test_an_untrained_network_knows_nothing():
    """Uniform weights near zero: all words as likely, for the default setting's numbers too."""
    config = word_lm.Config()
    model = config.network.model(50)
    params = measure.learner_of(config, model, 1).init(jax.random.key(0))
    leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(params)]
    assert {leaf.size for leaf in leaves} == {10_000, 160_000, 800, 50}
    assert all(0.095 < np.abs(leaf).max() <= 0.1 for leaf in leaves)
    codes = np.random.default_rng(0).integers(0, 50, 400)
    loss = TextLoss(model, codes, batch=4)(params)
    assert np.exp(loss) == pytest.approx(50, rel=0.1)


@pytest.mark.slow
def test_the_same_command_changes_nothing(whole, corpus, tmp_path, capsys):
    folder = copy(whole, tmp_path / "w")
    with mock.patch.object(measure, "test_loss", side_effect=AssertionError):
        run(folder, corpus)
    assert_same(whole, folder, WRITTEN)
    assert "test perplexity" in capsys.readouterr().out


def test_the_training_curve_is_a_mean_over_each_epoch(tmp_path):
    with open_workdir(tmp_path, "word_lm", word_lm.Config()) as workdir:
        rows = log.Log(workdir)
        for step, nats in ((2, 1.0), (3, 4.0), (5, 2.0), (6, 5.0)):
            rows.write(step, "train", {"nats": nats})
        for nats in (9.0, np.nan, 1.0):
            rows.write(3, "evaluation", {"perplexity": nats})
        rows.close()
        curve = measure.read_curve(workdir, 3)
    np.testing.assert_allclose(curve.training, np.exp([2.0, 3.0]))
    assert curve.validation == [9.0, np.inf, 1.0]
    assert measure.perplexity(1e9) == measure.perplexity(np.nan) == np.inf


# --- interruptions ---


@pytest.mark.cpu
@pytest.mark.slow
def test_killed_at_a_random_moment(whole, corpus, tmp_path):
    folder, number = tmp_path / "w", random.choice((1, 2, 3))
    killed(run, folder, str(corpus), number=number, delay=random.random() * 0.3)
    run(folder, corpus)
    assert_same(whole, folder, WRITTEN)


# --- learning rate and dispatches ---


def rates(training, epoch):
    schedule: Any = optimisers.decay_by_epoch(
        training.learning_rate, epoch, training.constant_epochs, training.divisor
    )
    with jax.numpy_dtype_promotion("standard"):
        return np.array([float(schedule(step)) for step in range(training.epochs * epoch)])


def test_learning_rates_are_those_of_the_paper():
    """Small: 4 epochs at 1, then halved after each; medium: 6 epochs, then divided by 1.2."""
    small = np.repeat([1, 1, 1, 1, *(0.5**n for n in range(1, 10))], 3)
    np.testing.assert_allclose(rates(word_lm.Config().training, 3), small, rtol=1e-6)
    medium = np.repeat([*[1] * 6, *(1.2**-n for n in range(1, 34))], 2)
    np.testing.assert_allclose(rates(word_lm.PRESETS["medium"].training, 2), medium, rtol=1e-5)


def test_dispatches_begin_anew_in_each_epoch():
    plan = changed(word_lm.Config(), epochs=2, dispatch=4).plan(10)
    stops = [0]
    while stops[-1] < plan.steps:
        stops.append(plan.next_stop(stops[-1]))
    assert stops == [0, 4, 8, 10, 14, 18, 20]
    assert changed(word_lm.Config(), epochs=2, dispatch=99).plan(10).next_stop(10) == 20


# --- settings and the corpus ---


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "medium"])
def test_what_is_recorded_is_trained(tmp_path, name):
    """A preset's values, on a text and for a time that fit a test, in record, network and plan."""
    preset = word_lm.PRESETS[name]
    small = {"embedding": 5, "hidden": preset.network.hidden // 32, "epochs": 1}
    config = changed(preset, corpus="made", words=40, batch=100, **small)
    with trainings(measure) as made, open_workdir(tmp_path, "word_lm", config) as workdir:
        assert word_lm.run(config, workdir) == "done"
    assert_recorded(tmp_path, "word_lm", config)
    ((learner, plan, _),) = made
    params = jax.eval_shape(learner.init, jax.random.key(0))
    layers = [layer for layer in params["cell"] if layer]
    assert [layer["wh"].shape[0] for layer in layers] == [preset.network.hidden // 32] * 2
    assert params["embedding"].shape[1] == 5
    assert plan.units_per_update == 100 * preset.training.length


def test_presets():
    tiny, medium = word_lm.PRESETS["tiny"], word_lm.PRESETS["medium"]
    assert (tiny.source.corpus, tiny.network.hidden, tiny.training.epochs) == ("made", 32, 6)
    assert (medium.network.hidden, medium.network.dropout) == (650, 0.5)
    assert (medium.training.length, medium.training.epochs) == (35, 39)
    layer = medium.network.model(5).reader.cell
    assert isinstance(layer, Stack) and len(layer.layers) == 5


def test_published_numbers_are_of_the_published_settings():
    assert published(changed(word_lm.Config(), seed=4, manual_dir="x")) == 114.5
    assert published(word_lm.PRESETS["medium"]) == 82.7
    assert published(changed(word_lm.PRESETS["medium"], dispatch=7, strategy="autodiff")) == 82.7
    assert published(changed(word_lm.Config(), hidden=201)) is None
    assert published(changed(word_lm.Config(), corpus="x")) is None


# --- bad input ---


@pytest.mark.slow
def test_a_text_that_has_changed(whole, corpus, tmp_path):
    folder, path = copy(whole, tmp_path / "w"), tmp_path / "corpus.txt"
    record = json.loads((folder / "config.json").read_text())
    record["config"]["source"]["corpus"] = str(path)
    (folder / "config.json").write_text(json.dumps(record))
    path.write_text(corpus.read_text().replace("garden", "desert"))
    with pytest.raises(UsageError, match=r"^corpus=.*: its 28 words .*differ in 'desert garden'"):
        run(folder, path)
    path.write_text("\n".join(reversed(corpus.read_text().splitlines())))
    with pytest.raises(UsageError, match=r"^corpus=.*: the text has changed since"):
        run(folder, path)
    path.write_text(corpus.read_text())
    run(folder, path)
    assert_same(whole, folder, WRITTEN)


@pytest.mark.slow
def test_a_checkpoint_of_another_network(whole, corpus, tmp_path):
    folder = copy(whole, tmp_path / "w")
    with pytest.raises(UsageError, match="holds another configuration"):
        run(folder, corpus, hidden=12)
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
        (b"to be", r"^corpus=.*: has 3 words, ends of lines among them, too few"),
        (b"abc\xff" * 100, r"^corpus=.*: not UTF-8 at byte 3"),
        (b"to be or not \n" * 12, r"^batch=12, length=8: a window needs 108 codes and the corpus"),
        (None, r"^corpus=.*: no such file"),
    ],
)
def test_a_text_that_cannot_be_used(tmp_path, contents, message):
    path = tmp_path / "corpus.txt"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(UsageError, match=message) as error:
        run(tmp_path / "w", path, batch=12)
    assert "\n" not in str(error.value) and state_of(tmp_path / "w") == "failed"


def test_a_data_set_that_is_missing(tmp_path):
    folders = {"data_dir": str(tmp_path / "data"), "manual_dir": str(tmp_path / "none")}
    with pytest.raises(UsageError, match=r"^manual_dir=.*: no such folder; .*ptb\.train\.txt"):
        run(tmp_path / "w", "penn_treebank", **folders)
    assert state_of(tmp_path / "w") == "failed"


@pytest.mark.slow
def test_a_learning_rate_that_diverges(corpus, tmp_path, capsys):
    run(tmp_path, corpus, learning_rate=1e38, clip_norm=0.0, cell="relu", layers=1, epochs=1)
    assert state_of(tmp_path) == "diverged"
    assert "diverged at step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "lstn"}, "cell='lstn'.*did you mean 'lstm'"),
        ({"hidden": 0}, "hidden=0"),
        ({"embedding": 0}, "embedding=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch": -1}, "batch=-1"),
        ({"dispatch": 0}, "dispatch=0"),
        ({"words": 1}, "words=1"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"uniform": -0.1}, "uniform=-0.1"),
        ({"uniform": float("nan")}, "uniform=nan"),
        ({"optimiser": "adm"}, "optimiser='adm'"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"constant_epochs": 0}, "constant_epochs=0"),
        ({"divisor": 0.5}, "divisor=0.5"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
        ({"strategy": "x"}, "strategy='x'"),
        ({"compute": "float16"}, "compute=float16"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(word_lm.Config(), **(SMALL | changes))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_no_evaluation_beats_the_first(corpus, tmp_path):
    run(tmp_path, corpus, learning_rate=1000.0, epochs=1)
    first, last = evaluations(tmp_path)
    assert last["validation"] > first["validation"] + 0.5
    summary = summary_of(tmp_path)
    assert summary["best epoch"] == 0
    assert summary["validation perplexity"] == first["perplexity"]
    assert summary["test"] == pytest.approx(first["validation"], abs=0.2)
