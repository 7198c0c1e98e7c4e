"""The text of `word_lm`: its splits, and the words that the model knows."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from experiments import _corpus
from experiments._char_text import made_text
from rnnlab.data import WordVocabulary, split_words
from rnnlab.data.text import SPLITS
from rnnlab.data.words import UNKNOWN
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir

#: The corpus that has splits of its own, which results in the literature are about.
TREEBANK = "penn_treebank"
#: Fewest words of a corpus, ends of lines among them, so that each split has some to predict.
FEWEST = 60


class Corpus(NamedTuple):
    """A text.

    Attributes:
        words: those of each split by its name, `<eos>` at the end of each line.
        vocabulary: the words that the model knows.
        texts: what `words` were read from, by split.
    """

    words: dict[str, list[str]]
    vocabulary: WordVocabulary
    texts: dict[str, str]

    def codes(self, split: str) -> np.ndarray:
        """The codes of a split."""
        return self.vocabulary.encode(self.words[split])


def read_corpus(config: Any) -> Corpus:
    """The splits of the text, and its words.

    A text that has no splits of its own is cut between words: the first 90 % train, 5 % validate
    and 5 % test.

    Raises:
        UsageError: no such file, bytes that are not UTF-8, or too few words.
        RunError: the named corpus is neither here nor to be had.
    """
    texts = _corpus.load_splits(config, made_lines)
    if config.corpus == TREEBANK:
        words = {split: split_words(text) for split, text in texts.items()}
    else:
        words = _cut(split_words("".join(texts.values())))
    count = sum(map(len, words.values()))
    if count < FEWEST:
        raise UsageError(
            f"corpus={config.corpus}: has {count} words, ends of lines among them, too few to "
            f"train, validate and test on; give a text of {FEWEST} at least"
        )
    return Corpus(words, known_words(words, config.words), texts)


def _cut(words: list[str]) -> dict[str, list[str]]:
    """As `rnnlab.data.split_text` cuts characters."""
    first = int(0.9 * len(words))
    second = first + (len(words) - first) // 2
    return dict(zip(SPLITS, (words[:first], words[first:second], words[second:]), strict=True))


def known_words(words: dict[str, list[str]], most: int) -> WordVocabulary:
    """The most frequent words of the training split.

    Where another split has words that this one lacks, something must stand for them: if it has no
    `<unk>`, the words that it has only once become one.
    """
    vocabulary = WordVocabulary.of(words["train"], most)
    strange = {word for split in SPLITS for word in words[split]} - set(vocabulary.words)
    if not strange or UNKNOWN in vocabulary.words:
        return vocabulary
    counts = Counter(words["train"])
    return WordVocabulary((*(w for w in vocabulary.words if counts[w] > 1), UNKNOWN))


def claim(config: Any, workdir: Workdir, corpus: Corpus) -> None:
    """Notes the text in a new work directory, or checks that an old one was trained on it."""
    _corpus.claim(config, workdir, corpus.texts, "words", corpus.vocabulary.words)


def made_lines(sentences: int) -> str:
    """The sentences of `_char_text.made_text`, one a line, marks apart from words."""
    text = re.sub(r'([",.])', r" \1 ", made_text(sentences))
    return " ".join(text.split()).replace(" . ", " .\n") + "\n"
