"""What labels a frame by a window of frames, without a network.

Settings are those with the best macro-F1 on the validation videos.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.frame_labelling.config import Baselines
from rnnlab.arrays import Float, Int
from rnnlab.data.labelled_frames import PHASES, Video
from rnnlab.data.sentences import Splits
from rnnlab.statistics import confusion, macro_f1

#: Inverse strengths of the regulariser of logistic regression that are tried, and of all baselines
#: whether labels count the same.
STRENGTHS, BALANCES = (0.001, 0.01, 0.1), ("balanced", None)
#: Share of the frames that tests where they are shuffled.
SHARE = 0.2


class Rows(NamedTuple):
    """Frames of some videos: what is read of each, or answered, and the right labels."""

    xs: Any
    labels: Int[np.ndarray, "N"]


#: The label of each row of windows.
Predictor = Callable[[Float[np.ndarray, "N windows"]], Int[np.ndarray, "N"]]


def windows(video: Video, settings: Baselines, centred: bool) -> Float[np.ndarray, "T windows"]:
    """The frames around each frame side by side; past the ends, the first and the last one."""
    count = settings.reach // settings.every
    steps = (np.arange(count + 1) - (count // 2 if centred else count)) * settings.every
    places = np.arange(len(video.labels))[:, None] + steps
    return video.features[np.clip(places, 0, len(video.labels) - 1)].reshape(len(places), -1)


def logistic_regression(train: Rows, validation: Rows, settings: Baselines) -> Predictor:
    """The best of some strengths of the regulariser."""
    del settings
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found: list[tuple[float, Predictor]] = []
    for strength in STRENGTHS:
        for balance in BALANCES:
            model = LogisticRegression(C=strength, class_weight=balance, max_iter=2000, tol=1e-3)
            fitted = make_pipeline(StandardScaler(), model).fit(*train)
            found.append((_macro(validation[1], fitted.predict(validation[0])), fitted.predict))
    return max(found, key=lambda each: each[0])[1]


def gradient_boosting(train: Rows, validation: Rows, settings: Baselines) -> Predictor:
    """The best number of rounds, with labels that count the same and without."""
    found: list[tuple[float, int, Any]] = []
    for balance in BALANCES:
        model = booster(settings.rounds, balance).fit(*train)
        for rounds, labels in enumerate(model.staged_predict(validation[0]), 1):
            found.append((_macro(validation[1], labels), rounds, model))
    _, rounds, model = max(found, key=lambda each: each[0])
    return lambda xs: next(itertools.islice(model.staged_predict(xs), rounds - 1, None))


def booster(rounds: int, balance: str | None) -> Any:
    """Gradient boosting of trees, unfitted; nothing of it is random."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=rounds,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=1.0,
        class_weight=balance,
        early_stopping=False,  # pyright: ignore[reportArgumentType]
        random_state=0,
    )


BASELINES: dict[str, Callable[[Rows, Rows, Baselines], Predictor]] = {
    "logistic regression": logistic_regression,
    "gradient boosting": gradient_boosting,
}


def answers(
    splits: Splits[list[Video]], settings: Baselines, centred: bool
) -> dict[str, list[Int[np.ndarray, "T"]]]:
    """The labels that each baseline gives to the test videos, by its name."""
    train, validation = (
        stacked(videos, settings, centred) for videos in (splits.train, splits.validation)
    )
    found = {}
    for name, fit in BASELINES.items():
        predict = fit(train, validation, settings)
        found[name] = [predict(windows(one, settings, centred)).astype(int) for one in splits.test]
    return found


def shuffled(splits: Splits[list[Video]], settings: Baselines, centred: bool) -> Rows:
    """Answered and right labels where windows of all videos are shuffled into training and test.

    Neighbours of a frame, whose windows are nearly the same, then lie on the other side.
    """
    xs, labels = stacked([one for split in splits for one in split], settings, centred)
    order = np.random.default_rng(0).permutation(len(labels))
    test, train = np.split(order, [int(SHARE * len(order))])
    model = booster(settings.rounds, "balanced").fit(xs[train], labels[train])
    return Rows(model.predict(xs[test]).astype(int), labels[test])


def stacked(videos: Sequence[Video], settings: Baselines, centred: bool) -> Rows:
    """The windows of all frames of some videos, and their labels."""
    xs = [windows(one, settings, centred) for one in videos]
    return Rows(np.concatenate(xs), np.concatenate([one.labels for one in videos]))


def _macro(labels: Any, found: Any) -> float:
    return float(macro_f1(confusion(labels, found.astype(int), len(PHASES))))
