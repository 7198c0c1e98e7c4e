"""What hears a word without its order: means and spreads of its frames, and a linear machine."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from rnnlab.arrays import Float
from rnnlab.data.recordings import Recordings
from rnnlab.data.sentences import Splits
from rnnlab.nn.mel import LogMel
from rnnlab.training.speech import frames_of

#: What runs beside the network.
NAMES = "logistic regression", "support vectors"
#: What is tried: the inverse of the regularisation.
STRENGTHS = (0.01, 0.1, 1.0)


class Baseline(NamedTuple):
    """A baseline, with the strength that did best on the validation recordings.

    Attributes:
        answers: to the test recordings, `[N]`.
        settings: in words.
        seconds: of all that was tried.
    """

    answers: np.ndarray
    settings: str
    seconds: float


def fit_baselines(front: LogMel, splits: Splits[Recordings]) -> dict[str, Baseline]:
    """A logistic regression and a support vector machine with a Gaussian kernel.

    Both read mean and standard deviation over time of each band, scaled to variance 1.
    """
    from sklearn.linear_model import LogisticRegression  # which takes a second to import
    from sklearn.svm import SVC

    xs = [summaries(front, one) for one in splits]
    mean, spread = xs[0].mean(axis=0), np.maximum(xs[0].std(axis=0), 1e-9)
    train, known, asked = ((x - mean) / spread for x in xs)
    makers: list[Any] = [
        lambda c: LogisticRegression(C=c, max_iter=2000),
        lambda c: SVC(C=100 * c),
    ]
    found = {}
    for name, make in zip(NAMES, makers, strict=True):
        start, best = time.monotonic(), (-1.0, 0.0, np.zeros(0, int))
        for strength in STRENGTHS:
            model = make(strength).fit(train, splits.train.labels)
            accuracy = float(np.mean(model.predict(known) == splits.validation.labels))
            if accuracy > best[0]:
                best = accuracy, model.C, model.predict(asked)
        found[name] = Baseline(best[2], f"C = {best[1]:g}", time.monotonic() - start)
    return found


def summaries(front: LogMel, recordings: Recordings) -> Float[np.ndarray, "N 2*bands"]:
    """Mean and standard deviation over time of the log-mel frames of each recording."""
    frames = frames_of(front, recordings.samples)
    return np.array([np.concatenate([one.mean(axis=0), one.std(axis=0)]) for one in frames])
