"""Vectors of words from text files as GloVe and word2vec write them, for a vocabulary of one's own.

A line is a word and its E numbers, with single spaces between; word2vec begins with a header of two
integers, the number of words and E. The word itself may contain spaces (`. . .` in GloVe's largest
file), so that the numbers are counted from the right. Of a word that occurs twice the first line
counts: files begin with what is frequent.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import itertools
import os
import zlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnnlab.arrays import Float
from rnnlab.errors import RunError, UsageError

#: Lines that decide how many numbers there are, where nothing else says it.
LOOK = 20


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """Vectors for a vocabulary.

    Attributes:
        vectors: float32 `[V, E]`; of words that the file lacks, drawn.
        exact: words that the file has as they are written.
        other_case: words that it has in another case only: `Tokyo` for `tokyo`.
        missing: words that it lacks, in the order of the vocabulary.
        duplicates: lines of the file that were left out, for their word had a vector already.
    """

    vectors: Float[np.ndarray, "V E"]
    exact: int
    other_case: int
    missing: tuple[str, ...]
    duplicates: int

    @property
    def coverage(self) -> float:
        """Share of the words that have a vector of the file."""
        found = self.exact + self.other_case
        return found / max(found + len(self.missing), 1)

    def __str__(self) -> str:
        """One line for people: how many words were found, and how."""
        words = self.exact + self.other_case + len(self.missing)
        return (
            f"vectors for {self.coverage:.1%} of {words} words ({self.exact} as written, "
            f"{self.other_case} in another case; {len(self.missing)} drawn)"
        )


def pretrained(
    path: str | PathLike[str],
    words: Sequence[str],
    features: int | None = None,
    *,
    special: Sequence[str] = (),
    seed: int = 0,
) -> Pretrained:
    """The vectors that a file has for the words of a vocabulary.

    A word that the file lacks takes the vector of the same word in lower case, else that of the
    first line that differs from it in case alone. The vectors of all others are drawn from a normal
    distribution with the mean and deviation that the found ones have.

    Args:
        path: a text file, or one packed as `.gz`.
        words: the vocabulary in the order of its codes.
        features: E, if it must be that; None takes that of the file.
        special: words that stand for no word, such as padding: they are drawn, and not counted.
        seed: of what is drawn.

    Raises:
        UsageError: no such file, another number of features, or lines that are no vectors.
        RunError: the file cannot be read.
    """
    wanted = {word.lower() for word in words} - {word.lower() for word in special}
    table = read_vectors(path, features, wanted)
    rows = {word: row for row, word in enumerate(table.words)}
    by_lower: dict[str, int] = {}
    for word, row in rows.items():
        by_lower.setdefault(word.lower(), row)
    for word in by_lower:  # a word in lower case goes before its other spellings
        by_lower[word] = rows.get(word, by_lower[word])
    counted = [word not in special for word in words]
    exact = [
        rows.get(word, -1) if count else -1 for word, count in zip(words, counted, strict=True)
    ]
    chosen = [
        by_lower.get(word.lower(), -1) if count and row < 0 else row
        for word, row, count in zip(words, exact, counted, strict=True)
    ]
    found = np.array(chosen, np.int64) >= 0
    vectors = _drawn(table.vectors, len(words), seed)
    vectors[found] = table.vectors[np.array(chosen, np.int64)[found]]
    written = sum(row >= 0 for row in exact)
    return Pretrained(
        vectors=vectors,
        exact=written,
        other_case=int(found.sum()) - written,
        missing=tuple(w for w, row, c in zip(words, chosen, counted, strict=True) if c and row < 0),
        duplicates=table.duplicates,
    )


def _drawn(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    shape = count, vectors.shape[1]
    drawn = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    if not len(vectors):
        return drawn * np.float32(shape[1] ** -0.5)
    return vectors.mean(axis=0) + drawn * vectors.std(axis=0)


class Table(NamedTuple):
    """Words and their vectors.

    Attributes:
        words: N of them, in the order of the file, each once.
        vectors: float32 `[N, E]`.
        duplicates: further lines of these words.
    """

    words: tuple[str, ...]
    vectors: Float[np.ndarray, "N E"]
    duplicates: int


def read_vectors(
    path: str | PathLike[str], features: int | None = None, lower: set[str] | None = None
) -> Table:
    """The vectors of a text file.

    Bytes of a word that are not UTF-8 become U+FFFD. A byte order mark, carriage returns and spaces
    at the end of a line are ignored.

    Args:
        path: a text file, or one packed as `.gz`.
        features: E, if it must be that; None takes that of the file.
        lower: words to read, in lower case, whatever their case in the file; None reads all.

    Raises:
        UsageError: no such file, another number of features, or lines that are no vectors.
        RunError: the file cannot be read.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise UsageError(f"vectors={path}: no such file; give a text file of GloVe or word2vec")
    found: dict[str, np.ndarray] = {}
    duplicates = 0
    try:
        with _open(path) as file:
            head = list(itertools.islice(file, LOOK))
            width, first = _layout(path, head, features)
            lines = itertools.chain(head[first:], file)
            for number, raw in enumerate(lines, first + 1):
                word, numbers = _split(path, raw, width, number)
                if not word or (lower is not None and word.lower() not in lower):
                    continue
                if word in found:
                    duplicates += 1
                else:
                    found[word] = _vector(path, numbers, number)
    except (OSError, EOFError, zlib.error) as error:
        raise RunError(f"vectors={path}: cannot be read ({error})") from error
    vectors = np.array(list(found.values()), np.float32).reshape(len(found), width)
    return Table(tuple(found), vectors, duplicates)


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _layout(path: Path, head: list[bytes], features: int | None) -> tuple[int, int]:
    """The number of features of a file that begins with these lines, and of its header's lines.

    Raises:
        UsageError: there are no vectors, or the header or `features` says another number.
    """
    fields = [line.split(" ") for line in map(_text, head) if line]
    widths = [_numbers_at_end(line[1:]) for line in fields]
    says: int | None = None
    if len(fields) > 1 and len(fields[0]) == 2 and all(map(str.isdecimal, fields[0])):
        second = int(fields[0][1])
        if widths[1] > 1 or widths[1] == second:
            says, widths = second, widths[1:]
    # A word may end in numbers, but few do: the smallest count is that of the vectors.
    width = min(widths, default=0)
    if not width:
        raise UsageError(
            f"vectors={path}: holds no vectors; each line must be a word and its numbers, with "
            "spaces between"
        )
    for what, number in (("its header says", says), ("they must have", features)):
        if number is not None and number != width:
            raise UsageError(f"vectors={path}: have {width} features; {what} {number}")
    return width, int(says is not None)


def _text(raw: bytes) -> str:
    """A line as text, without what belongs to no word or number at its ends."""
    return raw.decode("utf-8", "replace").removeprefix("\ufeff").rstrip(" \t\r\n")


def _numbers_at_end(fields: list[str]) -> int:
    return sum(1 for _ in itertools.takewhile(_is_number, reversed(fields)))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _split(path: Path, raw: bytes, width: int, line: int) -> tuple[str, list[str]]:
    """The word of a line and its numbers; no word for an empty line."""
    text = _text(raw)
    if not text:
        return "", []
    word, *numbers = text.rsplit(" ", width)
    if len(numbers) < width:
        raise UsageError(
            f"vectors={path}: line {line} has {len(numbers)} numbers, the others have {width}"
        )
    return word, numbers


def _vector(path: Path, numbers: list[str], line: int) -> np.ndarray:
    try:
        vector = np.array(numbers, np.float32)
    except ValueError as error:
        raise UsageError(f"vectors={path}: line {line}: {error}") from error
    if not np.isfinite(vector).all():
        raise UsageError(f"vectors={path}: line {line} has a number that is not finite")
    return vector
