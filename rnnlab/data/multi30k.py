"""Multi30k (Elliott et al. 2016), descriptions of pictures in three languages, as a TFDS builder.

Importing this module registers the builder `multi30k_lines`.
"""

import gzip
from collections.abc import Mapping

from rnnlab.data.parallel import ParallelBuilder

COMMIT = "a3d2e0d26b56f3846f66a952536ffed4e401d05a"
FOLDER = f"https://raw.githubusercontent.com/multi30k/dataset/{COMMIT}/data/task1/raw"
SPLITS = ("train", "val", "test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")


class Multi30kLines(ParallelBuilder):
    """Task 1, raw text: what a picture shows, written in English and translated.

    Sentences: train 29,000, val 1,014, test_2016_flickr 1,000, test_2017_flickr 1,000,
    test_2017_mscoco 461. White space at the ends of lines is left out.
    """

    TITLE = "multi30k"
    LANGUAGES = ("de", "en", "fr")
    URLS = {  # noqa: RUF012
        f"{split}.{language}": f"{FOLDER}/{split}.{language}.gz"
        for split in SPLITS
        for language in ("de", "en", "fr")
    }
    HOMEPAGE = "https://github.com/multi30k/dataset"
    CITATION = (
        "@inproceedings{elliott2016multi30k, author={Elliott, Desmond and Frank, Stella and "
        "Sima'an, Khalil and Specia, Lucia}, title={Multi30K: Multilingual {E}nglish-{G}erman "
        "Image Descriptions}, booktitle={5th Workshop on Vision and Language}, pages={70--74}, "
        "year={2016}}"
    )
    LICENCE = (
        "None stated for the text; it derives in part from Flickr30K, for research and education "
        "that is not commercial."
    )

    def splits(self, contents: Mapping[str, bytes]) -> dict[str, dict[str, list[str]]]:
        """The lines of each language, stripped."""

        def lines(what: str) -> list[str]:
            text = gzip.decompress(contents[what]).decode().removesuffix("\n")
            return [line.strip() for line in text.split("\n")]

        return {
            split: {language: lines(f"{split}.{language}") for language in self.LANGUAGES}
            for split in SPLITS
        }
