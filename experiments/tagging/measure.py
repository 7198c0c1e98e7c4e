"""Trains a tagger and measures it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.tagging.baselines import BASELINES, require
from experiments.tagging.config import Config, Training
from experiments.tagging.scores import Scores, are_entities, score
from rnnlab.arrays import Params
from rnnlab.data.buckets import Buckets, bucketed, tight_boundaries
from rnnlab.data.coded_words import Coded, Coder, form
from rnnlab.data.pipelines import Feed
from rnnlab.data.sentences import Splits, Tagged
from rnnlab.data.word_vectors import Pretrained, pretrained
from rnnlab.nn import Functional, keep_frozen
from rnnlab.run.workdir import Workdir
from rnnlab.training.evaluators import Evaluator
from rnnlab.training.loop import Outcome, train
from rnnlab.training.summary import best_step
from rnnlab.training.tagging import Tagger, label, tagger, tagging_learner

#: What a work directory keeps of the test: words with their labels, and scores of entities by type.
ANSWERS, TYPES = "answers.json", "types.json"


class Problem(NamedTuple):
    """The sentences, what codes them, and the model.

    Attributes:
        splits: the sentences.
        coder: of the training split.
        given: vectors of a file; None where they are drawn.
        model: the tagger.
    """

    splits: Splits[Tagged]
    coder: Coder
    given: Pretrained | None
    model: Functional[Tagger]


def problem(config: Config, splits: Splits[Tagged]) -> Problem:
    """What is to be learned, and by what.

    Raises:
        UsageError: a file of vectors that does not exist or has other vectors than `embedding`.
        RunError: it cannot be read, or the baseline needs a package that is missing.
    """
    require(config.baseline)
    coder = Coder.of(splits.train, config.network.lower)
    given = None
    if config.vectors:
        words = coder.words.tokens
        given = pretrained(config.vectors, words, config.network.embedding, special=words[:4])
    vectors = None if given is None else given.vectors
    return Problem(splits, coder, given, tagger(config.network, coder, vectors))


def training_rows(training: Training, coder: Coder, tagged: Tagged) -> list[Coded]:
    """The sentences to train on, not longer than they may be."""
    most = training.longest
    return [
        coder.encode(words[:most], labels[:most]) for words, labels in zip(*tagged, strict=True)
    ]


def fit(config: Config, workdir: Workdir, given: Problem) -> Outcome:
    """Trains to the end of the plan, or resumes a run that was stopped."""
    training = config.training
    rows = training_rows(training, given.coder, given.splits.train)
    lengths = np.array([len(row.words) for row in rows], np.int32)
    limits = tight_boundaries(lengths, training.buckets)
    epoch = len(Buckets(lengths, training.batch, limits))
    plan = config.plan(epoch, max(int(lengths.sum()) // epoch, 1))
    optimiser = keep_frozen(training.make_optimiser(plan.steps))
    return train(
        workdir,
        tagging_learner(given.model, optimiser=optimiser, clip=training.clip()),
        plan,
        jax.random.key(config.seed),
        evaluator=Validation(given),
        feed=Feed(bucketed(rows, training.batch, limits, config.seed, time_major=False)),
    )


class Labelled(NamedTuple):
    """A split with the labels that a network gave to it.

    Attributes:
        found: labels of each sentence.
        scores: what they are worth.
    """

    found: list[list[str]]
    scores: Scores


class Examination:
    """Lets networks label a split."""

    def __init__(self, given: Problem, tagged: Tagged):
        self._given, self._tagged = given, tagged
        self._rows = [given.coder.encode(words) for words in tagged.sentences]

    def __call__(self, params: Params) -> Labelled:
        """The labels that a network with these parameters gives."""
        coder = self._given.coder
        answers = label(self._given.model, params, self._rows)
        found = [coder.names(labels) for labels, _ in answers]
        return Labelled(found, score(self._tagged.labels, found, are_entities(coder.labels)))


class Validation(Evaluator):
    """How a network labels the validation split."""

    def __init__(self, given: Problem):
        self._examine = Examination(given, given.splits.validation)

    def __call__(self, params: Params, step: int) -> dict[str, Any]:
        """`accuracy`, `f1` of entities, and `error`, of which the lowest is best."""
        del step
        scores = self._examine(params).scores
        values: dict[str, Any] = {"accuracy": scores.accuracy, "error": scores.error}
        return values if scores.f1 is None else values | {"f1": scores.f1}


def summarise(
    config: Config, workdir: Workdir, given: Problem, outcome: Outcome, params: Params
) -> dict[str, Any]:
    """The run in a few numbers; the test split is labelled only here.

    Args:
        config: of the run.
        workdir: gets the answers.
        given: the sentences and the model.
        outcome: of the training.
        params: of the best checkpoint.
    """
    step = best_step(outcome)
    (evaluated,) = (row for row in outcome.evaluations if row["step"] == step)
    test = given.splits.test
    result = Examination(given, test)(params)
    workdir.write(ANSWERS, json.dumps([test.sentences, test.labels, result.found]))
    workdir.write(TYPES, json.dumps(result.scores.types))
    summary = {
        "best step": step,
        "validation F1": evaluated.get("f1"),
        "validation accuracy": evaluated["accuracy"],
        **_named("test", result.scores),
        **_unknown(given, result.found),
        **_baseline(config, given),
        "labels": len(given.coder.labels),
        "words": given.coder.words.size,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
    }
    if given.given is not None:
        summary["share of words with given vectors"] = given.given.coverage
    return {name: value for name, value in summary.items() if value is not None}


def _named(what: str, scores: Scores) -> dict[str, float | None]:
    return {
        f"{what} F1": scores.f1,
        f"{what} precision": scores.precision,
        f"{what} recall": scores.recall,
        f"{what} accuracy": scores.accuracy,
    }


def _unknown(given: Problem, found: list[list[str]]) -> dict[str, float | None]:
    """How words of the test split that training did not have are labelled."""
    known = set(given.coder.words.tokens)
    right = [
        label == answer
        for words, labels, answers in zip(*given.splits.test, found, strict=True)
        for word, label, answer in zip(words, labels, answers, strict=True)
        if form(word, given.coder.lower) not in known
    ]
    count = sum(map(len, given.splits.test.sentences))
    return {
        "share of new words": len(right) / max(count, 1),
        "test accuracy of new words": float(np.mean(right)) if right else None,
    }


def _baseline(config: Config, given: Problem) -> dict[str, float | None]:
    """The scores of the test split without a network."""
    if config.baseline == "none":
        return {}
    answer = BASELINES[config.baseline](given.splits.train)
    test = given.splits.test
    scores = score(test.labels, answer(test.sentences), are_entities(given.coder.labels))
    return _named(f"{config.baseline}: test", scores)


def answers_of(workdir: Workdir) -> tuple[Any, list[dict[str, Any]]]:
    """Words, right and answered labels of the test sentences, and the scores by type."""
    answers = json.loads(workdir.path(ANSWERS).read_text(encoding="utf-8"))
    return answers, json.loads(workdir.path(TYPES).read_text(encoding="utf-8"))
