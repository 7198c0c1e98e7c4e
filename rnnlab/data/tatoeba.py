"""Spanish and English sentences of Tatoeba as a TFDS builder.

Importing this module registers the builder `tatoeba_lines`.
"""

from collections.abc import Mapping

from rnnlab.data.builder import Member
from rnnlab.data.pairs import cut_by
from rnnlab.data.parallel import ParallelBuilder

COMMIT = "2cfd26f9551f5c2d614e8000500891801840a438"
URL = f"https://raw.githubusercontent.com/Hoangduc212001/hoang/{COMMIT}/spa-eng.zip"
#: Of the file in the archive, which is that of www.manythings.org/anki of 2018-05-13.
SHA256 = "6ec60e212f812ee3430f7568ea6f33b6fb080e32193c5952e8da0ee8ba45574c"


class TatoebaLines(ParallelBuilder):
    """118,964 pairs of short sentences, most of them with several translations.

    5 % of the English sentences validate and 5 % test, chosen at random by a fixed seed, with all
    translations of each: no English sentence is in two splits.
    """

    TITLE = "tatoeba"
    LANGUAGES = ("es", "en")
    URLS = {"pairs": URL}  # noqa: RUF012
    MEMBERS = {"pairs": Member("spa.txt", SHA256)}  # noqa: RUF012
    HOMEPAGE = "https://www.manythings.org/anki"
    CITATION = (
        "@misc{tatoeba2018, author={{Contributors of Tatoeba}}, title={Sentences of tatoeba.org, "
        "selected by www.manythings.org/anki}, year={2018}, "
        "howpublished={https://www.manythings.org/anki}}"
    )
    LICENCE = "CC BY 2.0. Attribution: www.manythings.org/anki and tatoeba.org."

    def splits(self, contents: Mapping[str, bytes]) -> dict[str, dict[str, list[str]]]:
        """The pairs in the order of the file, cut by the English sentence."""
        lines = contents["pairs"].decode().removesuffix("\n").split("\n")
        pairs = [line.split("\t") for line in lines]
        places = cut_by([english.strip().casefold() for english, _ in pairs])
        return {
            split: {
                "es": [pairs[place][1].strip() for place in kept],
                "en": [pairs[place][0].strip() for place in kept],
            }
            for split, kept in places.items()
        }
