"""Parts of speech in the English Web Treebank of Universal Dependencies, as a TFDS builder.

Importing this module registers the builder `english_web_treebank_text`.
"""

from collections.abc import Iterable
from typing import Any

from rnnlab.data.conll import read_universal
from rnnlab.data.row_builder import RowBuilder

FOLDER = "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/r2.10"


class EnglishWebTreebankText(RowBuilder):
    """Weblogs, newsgroups, e-mails, reviews and answers, with the 17 universal parts of speech.

    Release 2.10; sentences: train 12,543, validation 2,001, test 2,077.
    """

    TITLE = "ewt"
    URLS = {  # noqa: RUF012
        "train": f"{FOLDER}/en_ewt-ud-train.conllu",
        "validation": f"{FOLDER}/en_ewt-ud-dev.conllu",
        "test": f"{FOLDER}/en_ewt-ud-test.conllu",
    }
    HOMEPAGE = "https://universaldependencies.org/treebanks/en_ewt"
    CITATION = (
        "@inproceedings{silveira2014gold, author={Silveira, Natalia and Dozat, Timothy and de "
        "Marneffe, Marie-Catherine and Bowman, Samuel and Connor, Miriam and Bauer, John and "
        "Manning, Chris}, title={A gold standard dependency corpus for {E}nglish}, "
        "booktitle={LREC}, year={2014}}"
    )
    LICENCE = "CC BY-SA 4.0"

    def rows(self, contents: dict[str, str]) -> dict[str, Iterable[Any]]:
        """The sentences of each split."""
        return {split: read_universal(text) for split, text in contents.items()}
