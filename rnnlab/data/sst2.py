"""SST-2, sentences of the Stanford Sentiment Treebank, as a TFDS builder.

Importing this module registers the builder `sst2_text`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from rnnlab.data.row_builder import LabelledBuilder

COMMIT = "457ffd83de90a9d6d472d8ffc31bbffe40a8b236"
FOLDER = f"https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/{COMMIT}/data/SST2"


class Sst2Text(LabelledBuilder):
    """Sentences of film reviews, negative or positive; neutral ones were left out.

    Whole sentences only, without their phrases: train 6,920, validation 872, test 1,821.
    """

    TITLE = "sst2"
    NAMES = ("negative", "positive")
    URLS = {  # noqa: RUF012
        "train": f"{FOLDER}/train.tsv",
        "validation": f"{FOLDER}/dev.tsv",
        "test": f"{FOLDER}/test.tsv",
    }
    HOMEPAGE = "https://nlp.stanford.edu/sentiment"
    CITATION = (
        "@inproceedings{socher2013recursive, author={Socher, Richard and Perelygin, Alex and Wu, "
        "Jean and Chuang, Jason and Manning, Christopher D. and Ng, Andrew and Potts, "
        "Christopher}, title={Recursive deep models for semantic compositionality over a sentiment "
        "treebank}, booktitle={EMNLP}, year={2013}}"
    )
    LICENCE = "The repository states none; cite Socher et al. (2013)."

    def rows(self, contents: dict[str, str]) -> dict[str, Iterable[Any]]:
        """The sentences of each split."""
        return {split: read_tsv(text) for split, text in contents.items()}


def read_tsv(text: str) -> Iterator[tuple[str, int]]:
    """The sentences of a file, each with the index of its label.

    Raises:
        ValueError: a line that is not `sentence<TAB>0` or `sentence<TAB>1`.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        sentence, tab, label = line.rstrip("\r").rpartition("\t")
        if line and (not tab or label not in ("0", "1")):
            raise ValueError(f"line {number}: {line!r} is not sentence<TAB>label, 0 or 1")
        if line:
            yield sentence, int(label)
