"""Naming the class of texts: the baseline, the whole run, its resumption, and the trained model."""

import json
from typing import Any
from unittest import mock

import numpy as np
import pytest

import rnnlab
from experiments import sentiment
from experiments.sentiment import measure
from experiments.sentiment.baseline import Baseline, Split, fit_baseline
from rnnlab.data import classification
from rnnlab.data.classification import read_classification
from rnnlab.data.tokenise import tokenise
from rnnlab.errors import UsageError
from rnnlab.run.workdir import open_workdir
from rnnlab.statistics import macro_f1
from rnnlab.training import devices
from rnnlab.training.evaluators import Evaluator
from tests import quick
from tests.experiments.presets import run_tiny
from tests.experiments.runs import assert_same, evaluations, state_of, summary_of
from tests.experiments.settings import changed

SMALL: dict[str, Any] = {
    "data": "made",
    "hidden": 6,
    "embedding": 6,
    "pooling": "attention",
    "dropout": 0.0,
    "batch": 16,
    "epochs": 4,
    "buckets": 1,
    "learning_rate": 0.05,
    "warmup": 0,
    "strategy": "autodiff",
    "checkpoint_every": 10,
}
WRITTEN = ("metrics.jsonl", "model.json", "answers.json")


@pytest.fixture(autouse=True, scope="module")
def few():
    """Fewer texts."""
    with mock.patch.object(classification, "COUNTS", (240, 60, 60)):
        yield


def run(folder, **changes):
    config = changed(sentiment.Config(), **(SMALL | changes))
    cheap = mock.patch.object(devices, "COMPILER_OPTIONS", quick.known_options())
    with cheap, open_workdir(folder, "sentiment", config) as workdir:
        workdir.end(sentiment.run(config, workdir))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "w"
    run(folder)
    return folder


@pytest.mark.slow
def test_it_learns_and_everything_is_there(whole):
    rows, summary = evaluations(whole), summary_of(whole)
    assert [row["step"] for row in rows] == [0, 15, 30, 45, 60]
    best = max(rows, key=lambda row: row["accuracy"])
    assert best["accuracy"] > 0.55 > rows[0]["accuracy"]
    assert summary["best step"] == best["step"]
    assert summary["validation accuracy"] == best["accuracy"]
    test = read_classification(changed(sentiment.Config(), **SMALL).source).test
    answers = json.loads((whole / "answers.json").read_text())
    assert summary["test accuracy"] == np.mean(np.array(answers["network"]) == test.labels)
    assert summary["baseline test accuracy"] == np.mean(
        np.array(answers["baseline"]) == test.labels
    )
    assert summary["its 95 % interval from"] < summary["test accuracy"]
    assert summary["macro F1 from"] < summary["test macro F1"] < summary["macro F1 to"]
    page = (whole / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "TF-IDF" in page
    assert state_of(whole) == "done"


@pytest.mark.slow
def test_the_trained_model(whole, tmp_path):
    model = rnnlab.load(whole)
    assert model.classes == ("negative", "neutral", "positive")
    test = read_classification(changed(sentiment.Config(), **SMALL).source).test
    answers = model.predict(test.texts)
    kept = json.loads((whole / "answers.json").read_text())["network"]
    assert [model.classes.index(answer["answer"]) for answer in answers] == kept
    assert [answer["line"] for answer in answers] == test.texts
    assert answers[0]["probability"] == max(answers[0]["classes"].values())
    assert sum(answers[0]["classes"].values()) == pytest.approx(1)
    assert json.loads(json.dumps(answers)) == answers and model.predict([]) == []
    asked = ["", "the film was not good", "😀 unknown words", "<pad> </s>", "long " * 10_000]
    strange = model.predict(asked)
    assert [answer["line"] for answer in strange] == asked
    assert np.array_equal(*model(["qwerty", "字"]))  # both are unknown
    words, effects = model.effects("The film was not good")
    assert words == ["the", "film", "was", "not", "good"] and effects.shape == (5,)
    log_p = model(["the film was not good", "the film was qwerty good"])
    expected = (log_p[0] - log_p[1])[log_p[0].argmax()]
    assert effects[3] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    for line in ("the film was not good", "", "word " * 100):
        model.show(line, tmp_path / "shown.png")
        assert (tmp_path / "shown.png").read_bytes()[:4] == b"\x89PNG"
    few = model.effects("The film was not good", 4)
    assert few[0] == words[:4] and few[1] == pytest.approx(effects[:4], rel=1e-3, abs=1e-6)
    with pytest.raises(UsageError, match=r"^line: has 10000 words; a picture takes a text of up"):
        model.show("long " * 10_000, tmp_path / "shown.png")


# --- the baseline ---


def test_the_baseline_is_tf_idf_and_a_logistic_regression():
    """Its answers from the equation: weights of the terms, and the gradient that is zero."""
    splits = read_classification(changed(sentiment.Config(), **SMALL).source)
    rows = [Split([tokenise(text) for text in split.texts], split.labels) for split in splits]
    with mock.patch("experiments.sentiment.baseline.STRENGTHS", (3.0,)):
        found = fit_baseline(*rows)
    assert found.settings in (
        "C = 3, texts count the same",
        "C = 3, classes balanced",
    )
    train, validation, _ = rows
    terms = sorted({word for words in train.tokens for word in words})
    counts = np.array([[words.count(term) for term in terms] for words in train.tokens])
    rarity = np.log((1 + len(counts)) / (1 + (counts > 0).sum(axis=0))) + 1
    xs = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * rarity
    xs /= np.linalg.norm(xs, axis=1, keepdims=True)
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(C=3.0, tol=1e-8, max_iter=10_000).fit(xs, train.labels)
    logits = xs @ model.coef_.T + model.intercept_
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = (chances - np.eye(3)[train.labels]).T @ xs + model.coef_ / 3
    np.testing.assert_allclose(gradient, 0, atol=1e-3)
    assert found.accuracy >= 0.4 and found.seconds > 0
    assert np.mean(found.answers == rows[2].labels) >= 0.4
    assert len(validation.labels) == 60


def test_two_answers_to_the_same_texts_are_compared():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    answers = np.where(random.random(300) < 0.8, labels, 0)
    others = np.where(random.random(300) < 0.5, labels, 1)
    numbers = measure.against(labels, answers, Baseline(others, "", 0.5, 1.0), 3)
    assert numbers["baseline test accuracy"] == np.mean(others == labels)
    gap = np.mean(answers == labels) - np.mean(others == labels)
    low, high = (numbers[f"accuracy above baseline {end}"] for end in ("from", "to"))
    assert low < gap < high
    right = (answers == labels).astype(float) - (others == labels)
    half = 1.96 * right.std() / 300**0.5
    assert (low, high) == pytest.approx((gap - half, gap + half), abs=0.01)
    same = measure.against(labels, answers, Baseline(answers, "", 0.5, 1.0), 3)
    assert same["macro F1 above baseline from"] == same["macro F1 above baseline to"] == 0
    assert 0 < numbers["macro F1 above baseline from"] < numbers["macro F1 above baseline to"]
    assert macro_f1(np.eye(3)) == 1


# --- runs ---


class Interrupted(Evaluator):
    def __init__(self, *settings):
        self._evaluator = EVALUATOR(*settings)

    def __call__(self, params, step):
        if step == 30:
            raise KeyboardInterrupt
        return self._evaluator(params, step)


EVALUATOR = measure.ClassificationEvaluator


@pytest.mark.slow
def test_interrupted_in_an_evaluation(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "ClassificationEvaluator", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "w")
    assert state_of(tmp_path / "w") == "interrupted"
    monkeypatch.setattr(measure, "ClassificationEvaluator", EVALUATOR)
    run(tmp_path / "w")
    assert_same(tmp_path / "w", whole, WRITTEN)


@pytest.mark.slow
def test_the_test_texts_are_looked_at_once(whole, monkeypatch):
    before = {path: path.read_bytes() for path in whole.glob("*.json*")}
    (whole / "report.html").unlink()
    monkeypatch.setattr(measure, "log_probabilities", lambda *_: None)
    monkeypatch.setattr(measure, "fit_baseline", lambda *_: None)
    run(whole)
    assert (whole / "report.html").exists()
    after = {path: path.read_bytes() for path in whole.glob("*.json*")}
    assert {path.name for path in after if after[path] != before[path]} == {"status.json"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"pooling": "last", "bidirectional": False, "layers": 2, "cell": "lstm"},
        {"inputs": "one_hot", "pooling": "mean", "balance": 1.0, "best": "macro_f1"},
        {"strategy": "hoisted", "pooling": "max", "dropout": 0.2, "word_dropout": 0.1, "most": 20},
    ],
)
def test_other_networks(tmp_path, changes):
    run(tmp_path, epochs=1, baseline=False, **changes)
    assert summary_of(tmp_path)["test accuracy"] >= 0.2
    assert "baseline" not in (tmp_path / "summary.json").read_text()
    assert rnnlab.load(tmp_path).predict(["the film was not good"])[0]["answer"]


@pytest.mark.slow
def test_pretrained_vectors(tmp_path):
    words = ["good", "Film", "dull", "lovely"]
    lines = [f"{word} {n} 0 1 {-n}" for n, word in enumerate(words)]
    (tmp_path / "vectors.txt").write_text("\n".join(lines))
    settings = {"inputs": "pretrained", "vectors": str(tmp_path / "vectors.txt"), "embedding": 4}
    for train in (True, False):
        folder = tmp_path / str(train)
        run(folder, epochs=1, baseline=False, train_vectors=train, **settings)
        assert "vectors for" in summary_of(folder)["pretrained"]
        model = rnnlab.load(folder)
        row = model.vocabulary.encode(["lovely"])[0]
        table = model.params["embed"]["table" if train else "frozen"]
        assert (table[row].tolist() == [3, 0, 1, -3]) == (not train)
    with pytest.raises(UsageError, match="have 4 features; they must have 6"):
        run(tmp_path / "w", **(settings | {"embedding": 6}))


@pytest.mark.slow
def test_the_tiny_preset(tmp_path):
    made = run_tiny(sentiment, tmp_path)
    assert {"model.json", "answers.json", "curve.png", "confusion.png", "report.html"} <= made
    assert summary_of(tmp_path)["test accuracy"] > 0.6  # of so few texts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "imdb"}, "data=imdb: must be covidsenti or"),
        ({"fold": 1}, "fold=1: only with data=reviews"),
        ({"pooling": "sum"}, "pooling=sum: must be last or mean or max or attention"),
        ({"inputs": "glove"}, "inputs=glove: must be one_hot or learned or pretrained"),
        ({"inputs": "pretrained"}, "inputs=pretrained, vectors='': pretrained inputs need a file"),
        ({"vectors": "x.txt"}, "inputs=learned, vectors='x.txt'"),
        ({"compute": "bfloat16"}, "compute=bfloat16: must be float32"),
        ({"word_dropout": 1.0}, "word_dropout=1.0: must be at least 0 and below 1"),
        ({"embedding": 0}, "embedding=0"),
        ({"most": 3}, "most=3: must be 0, or at least 5"),
        ({"least": 0}, "least=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"buckets": 0}, "buckets=0"),
        ({"balance": -1.0}, "balance=-1.0"),
        ({"best": "loss"}, "best=loss: must be accuracy or macro_f1"),
        ({"dispatch": 2}, "dispatch=2: must be 1"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_values_are_named_as_the_flags_are(changes, message):
    with pytest.raises(UsageError, match=f"^{message}") as error:
        changed(sentiment.Config(), **(SMALL | changes))
    assert "\n" not in str(error.value)
