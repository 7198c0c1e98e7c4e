"""Words and their vocabulary."""

import numpy as np
import pytest

from rnnlab.data import WordVocabulary, split_words
from rnnlab.errors import UsageError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" a b \n c \n", "a b <eos> c <eos>"),
        ("a\n\nb", "a <eos> <eos> b <eos>"),
        ("", ""),
        ("  \n", "<eos>"),
        ("a\r\nb\rc\n\r\n", "a <eos> b <eos> c <eos> <eos>"),
        ("a\u2028b\x0cc\x85d\x1ce\x0bf\n", "a b c d e f <eos>"),
    ],
)
def test_lines_end_with_a_word_of_their_own(text, words):
    assert split_words(text) == words.split()


def test_frequent_words_come_first():
    vocabulary = WordVocabulary.of(["b", "a", "b", "c", "a", "b"])
    assert vocabulary.words == ("b", "a", "c") and vocabulary.size == 3
    codes = vocabulary.encode(["c", "b"])
    assert codes.dtype == np.int32 and codes.tolist() == [2, 0]
    assert vocabulary.decode(codes) == ["c", "b"]
    assert vocabulary.encode([]).shape == (0,)


def test_rare_words_are_unknown():
    vocabulary = WordVocabulary.of(["b", "a", "b", "c", "a", "b", "d"], most=3)
    assert vocabulary.words == ("b", "a", "<unk>")
    assert vocabulary.encode(["a", "c", "z"]).tolist() == [1, 2, 2]
    assert WordVocabulary.of(["a", "<unk>", "<unk>", "b"], most=2).words == ("a", "<unk>")
    assert WordVocabulary.of(["a", "b"], most=9).words == ("a", "b")


def test_bad_use():
    with pytest.raises(UsageError, match="words: 0 of which 0 differ"):
        WordVocabulary.of([])
    with pytest.raises(UsageError, match="2 of which 1 differ"):
        WordVocabulary(("a", "a"))
    with pytest.raises(UsageError, match="most=1"):
        WordVocabulary.of(["a", "b"], most=1)
    with pytest.raises(UsageError, match="'z' at position 1 is not among the 1"):
        WordVocabulary(("a",)).encode(["a", "z"])
    with pytest.raises(UsageError, match=r"codes: .* 0 \.\. 0"):
        WordVocabulary(("a",)).decode(np.array([1]))
