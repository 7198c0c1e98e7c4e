"""Tiny Shakespeare (Karpathy 2015) as a TFDS builder: the text and splits of TFDS's own.

Importing this module registers the builder `tiny_shakespeare_text`.
"""

from rnnlab.data.builder import TextBuilder
from rnnlab.data.text import split_text

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"


class TinyShakespeareText(TextBuilder):
    """40,000 lines from Shakespeare's plays, 1,115,394 ASCII characters, one record a split."""

    TITLE = "tiny_shakespeare"
    URLS = {"text": URL}  # noqa: RUF012
    HOMEPAGE = "https://github.com/karpathy/char-rnn"
    CITATION = (
        "@misc{karpathy2015charrnn, author={Karpathy, Andrej}, title={char-rnn}, "
        "year={2015}, howpublished={https://github.com/karpathy/char-rnn}}"
    )
    LICENCE = "The text is in the public domain; the repository char-rnn is under MIT."

    def texts(self, contents: dict[str, str]) -> dict[str, str]:
        """90 % train, 5 % validation, 5 % test, in order."""
        return split_text(contents["text"])
