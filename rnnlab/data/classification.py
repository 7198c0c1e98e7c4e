"""Texts with a label each, by the names that flags use."""

from __future__ import annotations

import dataclasses

import numpy as np

from rnnlab.data.made_sentences import made_labelled
from rnnlab.data.sentences import Labelled, Splits, stratified_parts
from rnnlab.data.source import MADE, Folders, found
from rnnlab.errors import UsageError
from rnnlab.run import checks

#: Module and builder of each data set.
CLASSIFICATION = {
    "covidsenti": ("rnnlab.data.covid_senti", "CovidSentiText"),
    "sst2": ("rnnlab.data.sst2", "Sst2Text"),
    "reviews": ("rnnlab.data.movie_reviews", "MovieReviewsText"),
}
#: Made sentences to train on, to validate on and to test with.
COUNTS = (800, 200, 200)
#: Parts of the data set without a split, of which one tests and the next one validates.
FOLDS = 10


@dataclasses.dataclass(frozen=True)
class ClassificationSource(Folders):
    """Which texts are named."""

    #: covidsenti (tweets), sst2 (sentences of reviews), reviews (snippets of reviews), or made (for
    #: quick runs).
    data: str = MADE
    #: Of reviews, which have no split: the tenth that tests, 0 .. 9; the next one validates.
    fold: int = 0

    def __post_init__(self) -> None:
        """Checks both."""
        checks.one_of(self, "data", (*CLASSIFICATION, MADE))
        if not 0 <= self.fold < FOLDS:
            raise UsageError(f"fold={self.fold}: must be within 0 .. {FOLDS - 1}")
        if self.fold and self.data != "reviews":
            raise UsageError(f"fold={self.fold}: only with data=reviews; {self.data} has a split")


def read_classification(source: ClassificationSource) -> Splits[Labelled]:
    """The splits of a data set.

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: it can be neither found nor downloaded, or is damaged.
    """
    if source.data == MADE:
        return Splits(*(made_labelled(count, seed) for seed, count in enumerate(COUNTS)))
    builder = found(*CLASSIFICATION[source.data])
    load = found("rnnlab.data.row_builder", "load_labelled")
    folders = source.data_dir or None, source.manual_dir or None
    if source.data == "reviews":
        return folded(load(builder, *folders, "everything"), source.fold)
    return Splits(*(load(builder, *folders, split) for split in Splits._fields))


def folded(data: Labelled, fold: int) -> Splits[Labelled]:
    """The splits of texts that have none: a tenth tests, the next one validates, eight train.

    All have the same share of each label, and texts that are the same lie on one side.
    """
    parts = stratified_parts(data.texts, data.labels.tolist(), FOLDS)
    test, validation = parts == fold, parts == (fold + 1) % FOLDS
    return Splits(*(_chosen(data, rows) for rows in (~test & ~validation, validation, test)))


def _chosen(data: Labelled, rows: np.ndarray) -> Labelled:
    texts = [data.texts[row] for row in np.flatnonzero(rows)]
    return Labelled(texts, data.labels[rows], data.names)
