"""Tests of word vectors: how similar people find two words, and analogies of four words."""

from __future__ import annotations

from typing import NamedTuple

from rnnlab.data.source import Folders, found
from rnnlab.data.text import split_lines
from rnnlab.errors import RunError

#: Similarity sets: the one by which settings are chosen, the one that is reported, and its parts.
VALIDATION, TEST = "simlex999", "wordsim353"
PARTS = ("wordsim353_similarity", "wordsim353_relatedness")
ANALOGIES = "analogies"


class WordPair(NamedTuple):
    """Two words, and how similar people find them on average, 0 .. 10."""

    first: str
    second: str
    score: float


class Question(NamedTuple):
    """`a` is to `b` as `c` is to `d`."""

    a: str
    b: str
    c: str
    d: str


class WordTests(NamedTuple):
    """What word vectors are tested on.

    Attributes:
        similarity: pairs of words, by the name of the set; `simlex999` and `wordsim353` are there.
        analogies: questions, by the name of their section.
    """

    similarity: dict[str, list[WordPair]]
    analogies: dict[str, list[Question]]


def read_word_tests(folders: Folders) -> WordTests:
    """WordSim-353, SimLex-999 and the analogies.

    Raises:
        UsageError: `manual_dir` is not a folder.
        RunError: the files can be neither found nor downloaded.
    """
    load = found("rnnlab.data.builder", "load_text_split")
    builder = found("rnnlab.data.word_test_files", "WordTestFiles")

    def read(name: str) -> str:
        return load(builder, folders.data_dir or None, folders.manual_dir or None, name)

    sets = {name: parse_pairs(read(name), name) for name in (VALIDATION, TEST, *PARTS)}
    return WordTests(sets, parse_questions(read(ANALOGIES), ANALOGIES))


def parse_pairs(text: str, name: str) -> list[WordPair]:
    """Pairs from lines of a word, a word and a number, with tabs between.

    Raises:
        RunError: a line that is none.
    """
    pairs = []
    for number, line in enumerate(split_lines(text), 1):
        try:
            first, second, score = line.split("\t")
            pairs.append(WordPair(first, second, float(score)))
        except ValueError as error:
            raise RunError(
                f"{name}: line {number} is not a word, a word and a number with tabs between"
            ) from error
    return pairs


def parse_questions(text: str, name: str) -> dict[str, list[Question]]:
    """Questions from lines of four words, after lines `: SECTION`.

    Raises:
        RunError: a line that is none, or before the first section.
    """
    sections: dict[str, list[Question]] = {}
    section: list[Question] | None = None
    for number, line in enumerate(split_lines(text), 1):
        words = line.split()
        if words[:1] == [":"]:
            section = sections.setdefault(" ".join(words[1:]), [])
        elif section is not None and len(words) == 4:
            section.append(Question(*words))
        elif words:
            raise RunError(f"{name}: line {number} is not four words within a section")
    return sections
