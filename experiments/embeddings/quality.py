"""How good word vectors are: similarity as people see it, and analogies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Float
from rnnlab.data.word_tests import Question, WordPair
from rnnlab.statistics import rank_correlation, rank_interval
from rnnlab.trained.vectors import WordVectors

#: Resamples of the interval of a difference.
RESAMPLES = 2000
#: Questions that are answered together, which bounds the memory.
TOGETHER = 256


class Cosines(NamedTuple):
    """The pairs of a set whose words are both in the vocabulary.

    Attributes:
        cosines: of their vectors, `[n]`.
        scores: what people say, `[n]`.
    """

    cosines: Float[np.ndarray, "n"]
    scores: Float[np.ndarray, "n"]

    @property
    def rho(self) -> float:
        """Spearman's rank correlation; nan of fewer than three pairs."""
        return rank_correlation(self.cosines, self.scores)

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return rank_interval(self.rho, len(self.scores))


def cosines(vectors: WordVectors, pairs: Sequence[WordPair]) -> Cosines:
    """The cosines of the pairs that the vocabulary has."""
    known = [pair for pair in pairs if pair.first in vectors and pair.second in vectors]
    return Cosines(
        np.array([vectors.similarity(pair.first, pair.second) for pair in known]),
        np.array([pair.score for pair in known]),
    )


def difference(one: Cosines, other: Cosines) -> tuple[float, float, float]:
    """`one.rho - other.rho` on the same pairs, and its 95 % interval.

    The interval is a percentile bootstrap over pairs of words, drawn with a fixed seed.
    """
    count = len(one.scores)
    if count < 3:
        return float("nan"), float("nan"), float("nan")
    draws = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    resampled = _rank_correlations(one, draws) - _rank_correlations(other, draws)
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    return one.rho - other.rho, float(low), float(high)


def _rank_correlations(one: Cosines, draws: np.ndarray) -> np.ndarray:
    """ρ of the pairs of each row of draws; nan where all are the same."""
    from scipy import stats

    x, y = (stats.rankdata(values[draws], axis=-1) for values in one)
    x, y = (ranks - ranks.mean(axis=-1, keepdims=True) for ranks in (x, y))
    with np.errstate(invalid="ignore"):
        return (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))


class Answered(NamedTuple):
    """Questions whose words are all in the vocabulary, and how many were answered rightly."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        """Share of right answers; nan where nothing was asked."""
        return self.right / self.asked if self.asked else float("nan")


def answer(vectors: WordVectors, questions: Sequence[Question]) -> Answered:
    """Answers analogies by 3CosAdd; the three words of a question are no answers."""
    known = [[vectors.code(w) for w in q] for q in questions if all(w in vectors for w in q)]
    right = 0
    for start in range(0, len(known), TOGETHER):
        codes = np.array(known[start : start + TOGETHER])
        a, b, c = (vectors.directions[codes[:, column]] for column in range(3))
        scores = (b - a + c) @ vectors.directions.T
        np.put_along_axis(scores, codes[:, :3], -np.inf, axis=1)
        right += int(np.sum(scores.argmax(axis=1) == codes[:, 3]))
    return Answered(right, len(known))
