"""What has no order of words: TF-IDF with logistic regression."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

#: What is tried: the inverse of the regularisation, and whether all classes count the same.
STRENGTHS, BALANCED = (3.0, 10.0, 30.0), (None, "balanced")


class Split(NamedTuple):
    """Texts as words, with their labels."""

    tokens: Sequence[list[str]]
    labels: np.ndarray


class Baseline(NamedTuple):
    """The baseline that did best on the validation texts.

    Attributes:
        answers: to the test texts, `[N]`.
        settings: in words.
        accuracy: on the validation texts.
        seconds: of all that was tried.
    """

    answers: np.ndarray
    settings: str
    accuracy: float
    seconds: float


def fit_baseline(train: Split, validation: Split, test: Split) -> Baseline:
    """Fits a logistic regression on TF-IDF of words with each of the settings.

    `(1 + log n) (1 + log((1 + N) / (1 + N_w)))` of a word that is n times in a text and in N_w of N
    texts, each text scaled to length 1. The settings with the best accuracy on the validation texts
    are taken; they are then asked for the test texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # which takes a second to import
    from sklearn.linear_model import LogisticRegression

    start, best = time.monotonic(), Baseline(np.zeros(0, int), "", -1.0, 0.0)
    as_they_are: Any = list
    count = TfidfVectorizer(analyzer=as_they_are, sublinear_tf=True)
    xs = count.fit_transform(train.tokens)
    known, asked = count.transform(validation.tokens), count.transform(test.tokens)
    for strength, balanced in itertools.product(STRENGTHS, BALANCED):
        model: Any = LogisticRegression(C=strength, class_weight=balanced, max_iter=1000)
        model.fit(xs, train.labels)
        accuracy = float(np.mean(model.predict(known) == validation.labels))
        if accuracy > best.accuracy:
            weights = "classes balanced" if balanced else "texts count the same"
            best = Baseline(model.predict(asked), f"C = {strength:g}, {weights}", accuracy, 0.0)
    return best._replace(seconds=time.monotonic() - start)
