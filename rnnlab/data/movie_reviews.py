"""Snippets of film reviews, as a TFDS builder.

Importing this module registers the builder `movie_reviews_text`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from rnnlab.data.row_builder import LabelledBuilder

COMMIT = "18762b459e21d9c70e5c242f8d43fc4e6db37a0d"
FOLDER = (
    "https://raw.githubusercontent.com/dennybritz/cnn-text-classification-tf/"
    f"{COMMIT}/data/rt-polaritydata"
)
#: The only split; TFDS forbids the name `all`.
EVERYTHING = "everything"


class MovieReviewsText(LabelledBuilder):
    """5,331 negative and as many positive snippets of Rotten Tomatoes, without a split."""

    TITLE = "reviews"
    NAMES = ("negative", "positive")
    URLS = {  # noqa: RUF012
        "negative": f"{FOLDER}/rt-polarity.neg",
        "positive": f"{FOLDER}/rt-polarity.pos",
    }
    HOMEPAGE = "https://www.cs.cornell.edu/people/pabo/movie-review-data"
    CITATION = (
        "@inproceedings{pang2005seeing, author={Pang, Bo and Lee, Lillian}, title={Seeing stars: "
        "Exploiting class relationships for sentiment categorization with respect to rating "
        "scales}, booktitle={ACL}, year={2005}}"
    )
    LICENCE = "The repository is under Apache-2.0; the data are of Pang and Lee (2005)."

    def rows(self, contents: dict[str, str]) -> dict[str, Iterable[Any]]:
        """All snippets, the negative ones first."""
        return {EVERYTHING: self._snippets(contents)}

    def _snippets(self, contents: dict[str, str]) -> Iterator[Any]:
        for code, name in enumerate(self.NAMES):
            lines = map(str.strip, contents[name].split("\n"))
            yield from ((line, code) for line in lines if line)
