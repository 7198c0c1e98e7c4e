"""Sentences as a tagger reads them: codes of words, of their characters, and of their labels."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Int
from rnnlab.data.sentences import Tagged
from rnnlab.data.tokens import SPECIAL, TokenVocabulary

#: Characters of a word that are read, C: of a longer one the first and the last half of them.
SPELLED = 16


class Coded(NamedTuple):
    """A sentence of T words.

    Attributes:
        words: codes of the words, int32 `[T]`.
        characters: codes of the characters of each word, int32 `[T, C]`, 0 past its end.
        spelled: how many there are of each word, int32 `[T]`.
        labels: of the words, int32 `[T]`; 0 where they are not known.
    """

    words: Int[np.ndarray, "T"]
    characters: Int[np.ndarray, "T C"]
    spelled: Int[np.ndarray, "T"]
    labels: Int[np.ndarray, "T"]


@dataclasses.dataclass(frozen=True)
class Coder:
    """What turns words into codes, and codes of labels into labels.

    Attributes:
        words: the words that are known, in the form of `form`.
        characters: the characters that are known.
        labels: in the order of their codes.
        lower: whether words are known by their lower case; characters keep theirs.
        rare: the code from which on words were seen once; the others come before.
    """

    words: TokenVocabulary
    characters: TokenVocabulary
    labels: tuple[str, ...]
    lower: bool
    rare: int

    @classmethod
    def of(cls, tagged: Tagged, lower: bool) -> Coder:
        """The coder of sentences to train on, with all of their words, characters and labels."""
        forms = Counter(form(word, lower) for words in tagged.sentences for word in words)
        words = TokenVocabulary.of([[word] * count for word, count in forms.items()])
        often = sum(count > 1 and word not in SPECIAL for word, count in forms.items())
        return cls(
            words=words,
            characters=TokenVocabulary.of(word for words in tagged.sentences for word in words),
            labels=tuple(sorted({label for labels in tagged.labels for label in labels})),
            lower=lower,
            rare=len(SPECIAL) + often,
        )

    def encode(self, words: Sequence[str], labels: Sequence[str] | None = None) -> Coded:
        """The codes of a sentence; words and characters that are not known are `<unk>`.

        Raises:
            KeyError: a label that is not known.
        """
        spelt = [abridged(word) for word in words]
        characters = np.zeros((len(words), SPELLED), np.int32)
        for row, word in zip(characters, spelt, strict=True):
            row[: len(word)] = self.characters.encode(word)
        codes = np.zeros(len(words), np.int32)
        if labels is not None:
            known = {label: code for code, label in enumerate(self.labels)}
            codes[:] = [known[label] for label in labels]
        return Coded(
            words=self.words.encode([form(word, self.lower) for word in words]),
            characters=characters,
            spelled=np.array([len(word) for word in spelt], np.int32),
            labels=codes,
        )

    def names(self, codes: Int[np.ndarray, "T"]) -> list[str]:
        """The labels of codes `[T]`."""
        return [self.labels[code] for code in codes]


def form(word: str, lower: bool) -> str:
    """A word as a vocabulary knows it: its digits are 0, and its letters are small if `lower`."""
    word = re.sub(r"\d", "0", word)
    return word.lower() if lower else word


def abridged(word: str) -> str:
    """The characters of a word that are read."""
    half = SPELLED // 2
    return word if len(word) <= SPELLED else word[:half] + word[-half:]
