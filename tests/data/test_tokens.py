"""The vocabulary of sentences: order, special tokens, and back from codes."""

import numpy as np
import pytest

from rnnlab.data.tokens import END, PAD, START, UNKNOWN, TokenVocabulary
from rnnlab.errors import UsageError

SENTENCES = [["b", "a", "b", UNKNOWN], ["c", "b", "a", END], ["d"]]


def test_frequent_tokens_come_first_after_the_special_ones():
    vocabulary = TokenVocabulary.of(SENTENCES)
    assert vocabulary.tokens == (PAD, UNKNOWN, START, END, "b", "a", "c", "d")
    assert vocabulary.size == 8
    assert TokenVocabulary.of(SENTENCES, most=6).tokens[4:] == ("b", "a")
    assert TokenVocabulary.of(SENTENCES, least=2).tokens[4:] == ("b", "a")
    assert TokenVocabulary.of([]).size == 4


def test_what_is_not_known_or_spelled_like_a_special_token_is_unknown():
    codes = TokenVocabulary.of(SENTENCES).encode(["a", "new", END, PAD, UNKNOWN, "d"])
    assert codes.tolist() == [5, 1, 1, 1, 1, 7] and codes.dtype == np.int32
    assert TokenVocabulary.of(SENTENCES).encode([]).shape == (0,)


def test_decoding_ends_at_the_end():
    vocabulary = TokenVocabulary.of(SENTENCES)
    assert vocabulary.decode([2, 4, 0, 1, 5, 3, 4, 3]) == ["b", UNKNOWN, "a"]
    assert vocabulary.decode(np.array([6, 0, 0])) == ["c"] and vocabulary.decode([]) == []
    with pytest.raises(UsageError, match=r"codes: 4 \.\. 9 leaves the vocabulary, 0 \.\. 7"):
        vocabulary.decode([4, 9])


def test_what_is_no_vocabulary():
    with pytest.raises(UsageError, match="must begin with"):
        TokenVocabulary(("a", "b"))
    with pytest.raises(UsageError, match="'a' comes twice"):
        TokenVocabulary((PAD, UNKNOWN, START, END, "a", "a"))
    with pytest.raises(UsageError, match="most=4"):
        TokenVocabulary.of(SENTENCES, most=4)
    with pytest.raises(UsageError, match="least=0"):
        TokenVocabulary.of(SENTENCES, least=0)
