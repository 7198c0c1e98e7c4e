"""The validation and test articles of WikiText-2, as a TFDS builder.

Importing this module registers the builder `wikitext2_articles`.
"""

from rnnlab.data.builder import TextBuilder
from rnnlab.data.text import split_text

COMMIT = "77f55b912142e11fcfdf5b530231fb9c52f181e8"
FOLDER = (
    f"https://raw.githubusercontent.com/pytorch/examples/{COMMIT}/word_language_model/"
    "data/wikitext-2"
)


class Wikitext2Articles(TextBuilder):
    """Verified articles of Wikipedia, a paragraph a line, with spaces between words; 455,097 words.

    These are the splits `valid` and `test` of WikiText-2, one after the other, cut anew into 90 %
    train, 5 % validation and 5 % test. Results in the literature are about the whole of WikiText-2,
    whose training split is not among them. Rare words are `<unk>`. One record a split.
    """

    TITLE = "wikitext2"
    URLS = {  # noqa: RUF012
        "valid": f"{FOLDER}/valid.txt",
        "test": f"{FOLDER}/test.txt",
    }
    HOMEPAGE = "https://github.com/pytorch/examples"
    CITATION = (
        "@inproceedings{merity2017pointer, author={Merity, Stephen and Xiong, Caiming and "
        "Bradbury, James and Socher, Richard}, title={Pointer sentinel mixture models}, "
        "booktitle={ICLR}, year={2017}}"
    )
    LICENCE = "The text is Wikipedia's, CC BY-SA; the repository is under BSD-3-Clause."

    def texts(self, contents: dict[str, str]) -> dict[str, str]:
        """90 % train, 5 % validation, 5 % test, in order."""
        return split_text(contents["valid"] + contents["test"])
