"""Naming the class of texts: the loss, class weights, answers in batches, and what is measured."""

import jax
import numpy as np
import pytest

from rnnlab.data.buckets import pad
from rnnlab.training import classification
from rnnlab.training.classification import (
    ClassificationEvaluator,
    attention_weights,
    batches,
    class_weights,
    classification_learner,
    log_probabilities,
)
from rnnlab.training.classifier_settings import ClassifierNetwork
from rnnlab.training.optimisers import Clip, optimiser
from tests import quick

WORDS, CLASSES = 11, 3


@pytest.fixture(scope="module")
def model():
    network = ClassifierNetwork(
        cell="gru", hidden=4, embedding=3, strategy="autodiff", pooling="attention"
    )
    return network.classifier(WORDS, CLASSES)


@pytest.fixture(scope="module")
def params(model):
    return jax.tree.map(lambda a: 3 * a, model.init(jax.random.key(0)))


def texts(lengths, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(1, WORDS, length).astype(np.int32) for length in lengths]


def test_classes_can_count_the_same():
    labels = np.array([0] * 6 + [1] * 3 + [2] * 1)
    assert class_weights(labels, 4, 0) == [1, 1, 1, 0]
    balanced = class_weights(labels, 3, 1)
    assert balanced == pytest.approx([10 / 18, 10 / 9, 10 / 3])  # as scikit-learn's "balanced"
    half = np.array(class_weights(labels, 3, 0.5))
    assert half / half[0] == pytest.approx([1, 2**0.5, 6**0.5])
    assert half @ [6, 3, 1] == pytest.approx(10)


def test_the_loss_is_that_of_the_texts_alone(model, params):
    """Rows that fill up a batch, and the padding, change nothing."""
    weights = [1.0, 2.0, 0.5]
    learner = classification_learner(
        model, batch=3, optimiser=optimiser("adam", 0.1), clip=Clip(), weights=weights
    )
    rows = list(zip(texts([3, 0, 5]), np.array([0, 2, 1], np.int32), strict=True))
    loss = quick.jit(lambda batch: learner.loss(params, (), batch, jax.random.key(0)))
    exact = loss(pad(rows, [5, 1], np.array([0, 1, 2]), time_major=False))
    filled = loss(pad(rows, [9, 1], np.array([-1, 0, 1, 2, -1, -1]), time_major=False))
    log_p = log_probabilities(model, params, [codes for codes, _ in rows])
    labels = [int(label) for _, label in rows]
    nats = [-weights[label] * log_p[row, label] for row, label in enumerate(labels)]
    for value, (_, metrics) in (exact, filled):
        assert value == pytest.approx(np.mean(nats), rel=1e-5)
        assert metrics["accuracy"] == pytest.approx(np.mean(log_p.argmax(axis=1) == labels))


@pytest.mark.slow
def test_answers_do_not_depend_on_the_batch(model, params, monkeypatch):
    asked = texts([3, 0, 70, 8, 9, 1, 16, 3])
    together = log_probabilities(model, params, asked)
    np.testing.assert_allclose(np.exp(together).sum(axis=1), 1, rtol=1e-12)
    alone = [log_probabilities(model, params, [text])[0] for text in asked]
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)
    backwards = log_probabilities(model, params, asked[::-1])
    assert np.array_equal(backwards[::-1], together)
    monkeypatch.setattr(classification, "WORDS", 64)
    np.testing.assert_allclose(
        log_probabilities(model, params, asked), together, rtol=1e-4, atol=1e-5
    )
    assert len(log_probabilities(model, params, [])) == 0


def test_batches_have_few_shapes():
    asked = texts([*range(300), 10_000])
    shapes, rows = set(), []
    for chosen, batch in batches(asked):
        shapes.add(batch.values.shape)
        rows += chosen
        assert batch.values.size <= classification.WORDS
        for place, row in enumerate(chosen):
            assert np.array_equal(batch.values[place, : batch.lengths[place]], asked[row])
        assert not np.any(batch.lengths[len(chosen) :])
    assert sorted(rows) == list(range(301))
    assert shapes == {
        (64, 8),
        (64, 16),
        (64, 32),
        (64, 64),
        (64, 128),
        (64, 256),
        (32, 512),
        (1, 16384),
    }


@pytest.mark.slow
def test_what_an_evaluation_measures(model, params):
    from sklearn.metrics import f1_score

    asked, labels = texts([4] * 40), np.random.default_rng(0).integers(0, 3, 40)
    values = ClassificationEvaluator(model, asked, labels, "macro F1")(params, 7)
    log_p = log_probabilities(model, params, asked)
    answers = log_p.argmax(axis=1)
    assert values["accuracy"] == np.mean(answers == labels)
    assert values["macro F1"] == pytest.approx(f1_score(labels, answers, average="macro"))
    assert values["loss"] == pytest.approx(-log_p[np.arange(40), labels].mean())
    assert values["miss"] == 1 - values["macro F1"]


@pytest.mark.slow
def test_attention_of_one_text(model, params):
    (text,) = texts([5])
    weights = attention_weights(model, params, text)
    assert weights is not None and weights.shape == (5,) and weights.sum() == pytest.approx(1)
    empty = attention_weights(model, params, text[:0])
    assert empty is not None and empty.shape == (0,)
