"""WikiANN in English, people, places and organisations in Wikipedia, as a TFDS builder.

Importing this module registers the builder `wiki_ann_en_text`.
"""

from collections.abc import Iterable
from typing import Any

from rnnlab.data.conll import read_columns
from rnnlab.data.row_builder import RowBuilder

COMMIT = "db7ff3ca4ba1df39907f8bdc036a556fed5ecde7"
FOLDER = f"https://raw.githubusercontent.com/davidsbatista/NER-datasets/{COMMIT}/WikiANN/en"


class WikiAnnEnText(RowBuilder):
    """Wikipedia with the entities PER, LOC and ORG in IOB2, labelled by links, not by people.

    The balanced splits of Rahimi et al. (2019): train has 20,000 sentences, validation and test
    10,000 each.
    """

    TITLE = "wikiann"
    URLS = {  # noqa: RUF012
        "train": f"{FOLDER}/train.txt",
        "validation": f"{FOLDER}/dev.txt",
        "test": f"{FOLDER}/test.txt",
    }
    HOMEPAGE = "https://github.com/davidsbatista/NER-datasets"
    CITATION = (
        "@inproceedings{pan2017cross, author={Pan, Xiaoman and Zhang, Boliang and May, Jonathan "
        "and Nothman, Joel and Knight, Kevin and Ji, Heng}, title={Cross-lingual name tagging and "
        "linking for 282 languages}, booktitle={ACL}, year={2017}}\n"
        "@inproceedings{rahimi2019massively, author={Rahimi, Afshin and Li, Yuan and Cohn, "
        "Trevor}, title={Massively multilingual transfer for {NER}}, booktitle={ACL}, year={2019}}"
    )
    LICENCE = "The repository states none; the text is Wikipedia's, under CC BY-SA."

    def rows(self, contents: dict[str, str]) -> dict[str, Iterable[Any]]:
        """The sentences of each split."""
        return {split: read_columns(text, prefix="en:") for split, text in contents.items()}
