"""Words as the input of a network: tokens of a text, and the vocabulary of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnlab.arrays import Int
from rnnlab.data.text import checked_codes, split_lines
from rnnlab.errors import UsageError

#: The end of a line, and the token for words that are not in the vocabulary.
END, UNKNOWN = "<eos>", "<unk>"


def split_words(text: str) -> list[str]:
    r"""The words of a text, which white space separates, with `<eos>` at the end of each line.

    Lines end at `\n`, `\r\n` or `\r`, and a last one without an end counts. That is how
    perplexities of the Penn Treebank are counted: its ends of sentences are predicted too.
    """
    words = []
    for line in split_lines(text):
        words += line.split()
        words.append(END)
    return words


@dataclass(frozen=True)
class WordVocabulary:
    """The words of a corpus; a code is an index into them.

    Attributes:
        words: every word once.

    Raises:
        UsageError: `words` is empty, or has one twice.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks that there are words and that they differ."""
        if not self.words or len(set(self.words)) != len(self.words):
            raise UsageError(
                f"words: {len(self.words)} of which {len(set(self.words))} differ; they must be "
                "distinct and at least one"
            )

    @classmethod
    def of(cls, words: Sequence[str], most: int | None = None) -> WordVocabulary:
        """The vocabulary of a corpus, frequent words first and equally frequent ones in order.

        Args:
            words: the corpus.
            most: keep that many of the most frequent words, `<unk>` among them; None keeps all.

        Raises:
            UsageError: no words, or `most` below 2.
        """
        counts = Counter(words)
        if most is not None and len(counts) > most:
            if most < 2:
                raise UsageError(f"most={most}: must be at least 2, a word and {UNKNOWN}")
            counts.pop(UNKNOWN, None)
            kept = sorted(counts, key=lambda word: (-counts[word], word))[: most - 1]
            return cls((*kept, UNKNOWN))
        return cls(tuple(sorted(counts, key=lambda word: (-counts[word], word))))

    @property
    def size(self) -> int:
        """The number of words, V."""
        return len(self.words)

    @property
    def symbols(self) -> Sequence[str]:
        """The words."""
        return self.words

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {word: code for code, word in enumerate(self.words)}

    def encode(self, words: Sequence[str]) -> Int[np.ndarray, "codes"]:
        """The codes of N words, int32 `[N]`; unknown words become `<unk>` if the vocabulary has it.

        Raises:
            UsageError: an unknown word, with its position, and no `<unk>` in the vocabulary.
        """
        unknown = self._codes.get(UNKNOWN, -1)
        codes = np.fromiter((self._codes.get(word, unknown) for word in words), np.int32)
        strange = np.flatnonzero(codes < 0)
        if strange.size:
            at = int(strange[0])
            raise UsageError(
                f"words: {words[at]!r} at position {at} is not among the {self.size} of the "
                f"vocabulary, which has no {UNKNOWN}; build it over the whole corpus"
            )
        return codes

    def decode(self, codes: Int[np.ndarray, "codes"]) -> list[str]:
        """The words of codes `[N]`.

        Raises:
            UsageError: a code outside 0 .. V - 1.
        """
        return [self.words[code] for code in checked_codes(codes, self.size)]

    def read(self, text: str) -> Int[np.ndarray, "codes"]:
        """The codes of a text, with `<eos>` for each line end; errors as in `encode`."""
        words = split_words(text)
        return self.encode(words if text.endswith(("\n", "\r")) else words[:-1])

    def write(self, codes: Sequence[int] | Int[np.ndarray, "codes"]) -> str:
        """The text of codes: words with spaces between them, a line for each `<eos>`.

        Raises:
            UsageError: a code outside 0 .. V - 1.
        """
        codes = checked_codes(np.asarray(codes), self.size)
        before = [None, *codes[:-1]]
        return "".join(map(self.piece, codes, before))

    def piece(self, code: int, after: int | None = None) -> str:
        """What a code adds to a text after another one, or at its beginning: a space and a word."""
        word = self.words[code]
        if word == END:
            return "\n"
        return word if after is None or self.words[after] == END else f" {word}"
