"""WNUT-17, new and rare names in social media, as a TFDS builder.

Importing this module registers the builder `wnut17_text`.
"""

from collections.abc import Iterable
from typing import Any

from rnnlab.data.conll import read_columns
from rnnlab.data.row_builder import RowBuilder

COMMIT = "e52a2d2a71ac1a051ca2d532eef28653c5c02603"
FOLDER = f"https://raw.githubusercontent.com/leondz/emerging_entities_17/{COMMIT}"


class Wnut17Text(RowBuilder):
    """Tweets and comments with six types of entities in IOB2, few of them seen in training.

    person, location, group, creative-work, corporation, product. Sentences: train 3,394 (tweets),
    validation 1,009 and test 1,287 (from other sites).
    """

    TITLE = "wnut17"
    URLS = {  # noqa: RUF012
        "train": f"{FOLDER}/wnut17train.conll",
        "validation": f"{FOLDER}/emerging.dev.conll",
        "test": f"{FOLDER}/emerging.test.annotated",
    }
    HOMEPAGE = "https://github.com/leondz/emerging_entities_17"
    CITATION = (
        "@inproceedings{derczynski2017results, author={Derczynski, Leon and Nichols, Eric and van "
        "Erp, Marieke and Limsopatham, Nut}, title={Results of the {WNUT}2017 shared task on novel "
        "and emerging entity recognition}, booktitle={Workshop on Noisy User-generated Text}, "
        "year={2017}}"
    )
    LICENCE = "CC BY 4.0"

    def rows(self, contents: dict[str, str]) -> dict[str, Iterable[Any]]:
        """The sentences of each split."""
        return {split: read_columns(text) for split, text in contents.items()}
