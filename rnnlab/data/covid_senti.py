"""COVIDSenti, tweets of early 2020 about COVID-19, as a TFDS builder.

Importing this module registers the builder `covid_senti_text`.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rnnlab.data.row_builder import LabelledBuilder
from rnnlab.data.sentences import Splits, stratified_parts

COMMIT = "ac03fec9182ce98c424245f07a8ebd9417405814"
FOLDER = f"https://raw.githubusercontent.com/usmaann/COVIDSenti/{COMMIT}"
#: A tenth each to validate and to test.
PARTS, VALIDATION, TEST = 10, 8, 9


class CovidSentiText(LabelledBuilder):
    """90,000 tweets: 16,335 negative, 67,385 neutral, 6,280 positive.

    The files were UTF-8 that somebody has read as Mac Roman, which is undone. There is no official
    split; this one is 80/10/10 with the same shares of the labels. Tweets that are the same but for
    links, mentions, case and what is no letter or digit lie on one side of it.
    """

    TITLE = "covidsenti"
    NAMES = ("negative", "neutral", "positive")
    URLS = {part: f"{FOLDER}/COVIDSenti-{part}.csv" for part in "ABC"}  # noqa: RUF012
    HOMEPAGE = "https://github.com/usmaann/COVIDSenti"
    CITATION = (
        "@article{naseem2021covidsenti, author={Naseem, Usman and Razzak, Imran and Khushi, "
        "Matloob and Eklund, Peter W. and Kim, Jinman}, title={{COVIDSenti}: A large-scale "
        "benchmark {T}witter data set for {COVID}-19 sentiment analysis}, journal={IEEE "
        "Transactions on Computational Social Systems}, volume={8}, number={4}, "
        "pages={1003--1015}, year={2021}}"
    )
    LICENCE = "None stated; the repository asks to cite the paper. For research only."

    def rows(self, contents: dict[str, str]) -> dict[str, Iterable[Any]]:
        """The tweets of each split in the order of the files."""
        tweets = [row for part in contents.values() for row in read_csv(part)]
        keys, labels = [key(text) for text, _ in tweets], [label for _, label in tweets]
        parts = stratified_parts(keys, labels, PARTS)
        splits = Splits(range(VALIDATION), (VALIDATION,), (TEST,))
        return {
            split: [row for row, part in zip(tweets, parts, strict=True) if part in chosen]
            for split, chosen in splits._asdict().items()
        }


def read_csv(text: str) -> Iterator[tuple[str, int]]:
    """The repaired tweets of a file, each with the index of its label.

    Raises:
        ValueError: another header or label, or a text that cannot be repaired.
    """
    rows = csv.reader(io.StringIO(text, newline=""))
    if next(rows, None) != ["tweet", "label"]:
        raise ValueError("the header of the CSV file is not tweet,label")
    codes = {name[:3]: code for code, name in enumerate(CovidSentiText.NAMES)}
    for tweet, label in rows:
        if label not in codes:
            raise ValueError(f"label {label!r} is not one of {', '.join(codes)}")
        yield tweet.encode("mac_roman").decode(), codes[label]


def key(text: str) -> str:
    """What two tweets have in common that are the same but for links, mentions and signs."""
    bare = re.sub(r"https?://\S*|@\w+", " ", text.lower())
    return " ".join(re.findall(r"\w+", bare))
