"""Trains a network that names the class of texts and measures it beside a baseline."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.sentiment.baseline import Baseline, Split, fit_baseline
from experiments.sentiment.config import Config
from rnnlab.arrays import Params
from rnnlab.data.buckets import Buckets, bucketed, row_lengths, tight_boundaries
from rnnlab.data.pipelines import Feed
from rnnlab.data.sentences import Labelled, Splits
from rnnlab.data.tokenise import tokenise
from rnnlab.data.tokens import SPECIAL, TokenVocabulary
from rnnlab.data.word_vectors import pretrained
from rnnlab.nn import keep_frozen
from rnnlab.run.workdir import Workdir
from rnnlab.statistics import confusion, macro_f1, resampled, wilson_interval
from rnnlab.training.classification import (
    ClassificationEvaluator,
    Model,
    class_weights,
    classification_learner,
    log_probabilities,
)
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import best_step

#: What a work directory keeps of the test: the answers to each text.
ANSWERS = "answers.json"


class Texts(NamedTuple):
    """Texts as networks read them.

    Attributes:
        data: as they were written, with their labels.
        tokens: their words.
        codes: of the words, int32.
    """

    data: Labelled
    tokens: list[list[str]]
    codes: list[np.ndarray]


def vocabulary_of(config: Config, train: Labelled) -> TokenVocabulary:
    """The words of the training texts that the network knows."""
    tokens = map(tokenise, train.texts)
    return TokenVocabulary.of(tokens, config.words.most or None, config.words.least)


def coded(splits: Splits[Labelled], vocabulary: TokenVocabulary) -> Splits[Texts]:
    """The splits as networks read them."""

    def one(data: Labelled) -> Texts:
        tokens = [tokenise(text) for text in data.texts]
        return Texts(data, tokens, [vocabulary.encode(words) for words in tokens])

    return Splits(*map(one, splits))


def model_of(config: Config, vocabulary: TokenVocabulary, classes: int) -> tuple[Model, str]:
    """The network, and in words how many of its words had a pretrained vector."""
    vectors, covered = None, ""
    if config.network.inputs == "pretrained":
        found = pretrained(
            config.words.vectors,
            vocabulary.tokens,
            config.network.embedding,
            special=SPECIAL,
            seed=config.seed,
        )
        vectors, covered = found.vectors, str(found)
    return config.network.classifier(vocabulary.size, classes, vectors), covered


def fit(config: Config, workdir: Workdir, splits: Splits[Texts], model: Model) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training, (texts, validation, _) = config.training, splits
    labels, classes = texts.data.labels, len(texts.data.names)
    rows = list(zip(texts.codes, labels, strict=True))
    boundaries = tight_boundaries(row_lengths(rows), training.buckets)
    batches = bucketed(rows, training.batch, boundaries, config.seed, time_major=False)
    plan = config.plan(epoch_of(config, texts))
    learner = classification_learner(
        model,
        batch=training.batch,
        optimiser=keep_frozen(training.make_optimiser(plan.steps)),
        clip=training.clip(),
        weights=class_weights(labels, classes, training.balance),
    )
    best = {"accuracy": "accuracy", "macro_f1": "macro F1"}[training.best]
    return train(
        workdir,
        learner,
        plan,
        jax.random.key(config.seed),
        evaluator=ClassificationEvaluator(model, validation.codes, validation.data.labels, best),
        feed=Feed(batches),
    )


def epoch_of(config: Config, texts: Texts) -> int:
    """Training steps of an epoch."""
    boundaries = tight_boundaries(row_lengths(texts.codes), config.training.buckets)
    return len(Buckets(row_lengths(texts.codes), config.training.batch, boundaries))


def summarise(
    config: Config,
    workdir: Workdir,
    splits: Splits[Texts],
    model: Model,
    outcome: Outcome,
    params: Params,
) -> dict[str, Any]:
    """The run in a few numbers; the test texts are evaluated only here.

    Args:
        config: of the run.
        workdir: gets the answers.
        splits: the texts.
        model: the network.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step, test = best_step(outcome), splits.test
    labels, classes = test.data.labels, len(test.data.names)
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    log_p = log_probabilities(model, params, test.codes)
    answers = log_p.argmax(axis=1)
    baseline = None
    if config.baseline:
        baseline = fit_baseline(*(Split(one.tokens, one.data.labels) for one in splits))
    kept = {"network": answers.tolist(), "baseline": baseline and baseline.answers.tolist()}
    workdir.write(ANSWERS, json.dumps(kept))
    counts = confusion(labels, answers, classes)
    low, high = wilson_interval(int(np.trace(counts)), len(labels))
    f1_low, f1_high = middle(macro_f1(resampled(counts)))
    numbers = {
        "best step": step,
        "best epoch": step / epoch_of(config, splits.train),
        "validation accuracy": evaluated["accuracy"],
        "validation macro F1": evaluated["macro F1"],
        "test accuracy": float(np.trace(counts) / len(labels)),
        "its 95 % interval from": low,
        "its 95 % interval to": high,
        "test macro F1": float(macro_f1(counts)),
        "macro F1 from": f1_low,
        "macro F1 to": f1_high,
        "test loss": float(-log_p[np.arange(len(labels)), labels].mean()),
        "most frequent class": float(np.bincount(labels).max() / len(labels)),
    }
    return numbers | (against(labels, answers, baseline, classes) if baseline else {})


def against(
    labels: np.ndarray, answers: np.ndarray, baseline: Baseline, classes: int
) -> dict[str, Any]:
    """The baseline on the same texts, and by how much the network is better, with intervals."""
    places = (labels * classes + answers) * classes + baseline.answers
    joint = np.bincount(places, minlength=classes**3).reshape(classes, classes, classes)
    drawn = resampled(joint)
    network, other = drawn.sum(axis=-1), drawn.sum(axis=-2)
    accuracy = np.trace(network - other, axis1=-2, axis2=-1) / len(labels)
    f1 = macro_f1(network) - macro_f1(other)
    theirs = joint.sum(axis=1)
    return {
        "baseline": f"TF-IDF and logistic regression: {baseline.settings}",
        "baseline validation accuracy": baseline.accuracy,
        "baseline test accuracy": float(np.trace(theirs) / len(labels)),
        "baseline test macro F1": float(macro_f1(theirs)),
        "accuracy above baseline from": middle(accuracy)[0],
        "accuracy above baseline to": middle(accuracy)[1],
        "macro F1 above baseline from": middle(f1)[0],
        "macro F1 above baseline to": middle(f1)[1],
        "seconds of baseline": baseline.seconds,
    }


def middle(values: np.ndarray) -> tuple[float, float]:
    """The ends of the middle 95 % of some values."""
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def answers_of(workdir: Workdir) -> dict[str, np.ndarray]:
    """The labels that the test texts were given, `[N]`, by `network` and, if it ran, `baseline`."""
    kept = json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8"))
    return {name: np.array(answers) for name, answers in kept.items() if answers is not None}
