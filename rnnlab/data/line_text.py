"""A text as lines of words, which word vectors are trained on: its frequent words, line by line."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Int
from rnnlab.data.corpus import FEWEST, Corpus
from rnnlab.data.source import MADE, Source
from rnnlab.data.text import load_splits, split_lines
from rnnlab.data.words import UNKNOWN, WordVocabulary
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir


class LineText(NamedTuple):
    """The words of a text that occur often enough; all others, and `<unk>`, are left out.

    Attributes:
        vocabulary: the words, frequent ones first.
        codes: the text, int32 `[N]`.
        lines: the number of the line of each word, int32 `[N]`.
        fingerprint: sha256 of the whole text.
    """

    vocabulary: WordVocabulary
    codes: Int[np.ndarray, "codes"]
    lines: Int[np.ndarray, "codes"]
    fingerprint: str

    def claim(self, workdir: Workdir, name: str) -> None:
        """Records the text in a new work directory, or checks an old one; see `Corpus.claim`."""
        Corpus({}, self.vocabulary, "", self.fingerprint).claim(workdir, name)

    def sentences(self) -> list[list[str]]:
        """The words of each line that has some."""
        words = np.array(self.vocabulary.words, object)[self.codes]
        ends = np.flatnonzero(np.diff(self.lines)) + 1
        return [part.tolist() for part in np.split(words, ends)]


def read_lines(
    source: Source, least: int, lower: bool, made: Callable[[], str] | None = None
) -> LineText:
    """A whole text, all splits of it.

    Args:
        source: of the text.
        least: occurrences of a word, at least.
        lower: whether to read it in lower case.
        made: makes the text that is generated.

    Raises:
        UsageError: no such file, bytes that are not UTF-8, or too few words that are frequent.
        RunError: the named text can be neither found nor downloaded.
    """
    if source.corpus == MADE and made is not None:
        whole = made()
    else:
        splits = load_splits(source.corpus, source.data_dir or None, source.manual_dir or None)
        whole = "".join(splits.values())
    fingerprint = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    lines = [line.split() for line in split_lines(whole.lower() if lower else whole)]
    counts = Counter(word for line in lines for word in line)
    frequent = [word for word, count in counts.items() if count >= least and word != UNKNOWN]
    total = sum(counts[word] for word in frequent)
    if len(frequent) < 2 or total < FEWEST:
        raise UsageError(
            f"corpus={source.corpus}: has {total} words that occur {least} times at least; give a "
            f"text with {FEWEST} of them, or a smaller least"
        )
    vocabulary = WordVocabulary(tuple(sorted(frequent, key=lambda word: (-counts[word], word))))
    codes = {word: code for code, word in enumerate(vocabulary.words)}
    rows = [[codes[word] for word in line if word in codes] for line in lines]
    return LineText(
        vocabulary,
        np.concatenate([np.array(row, np.int32) for row in rows]),
        np.repeat(np.arange(len(rows), dtype=np.int32), [len(row) for row in rows]),
        fingerprint,
    )
