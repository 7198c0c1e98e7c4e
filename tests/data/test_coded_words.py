"""Words, characters and labels as codes."""

import numpy as np
import pytest

from rnnlab.data.coded_words import SPELLED, Coder, abridged
from rnnlab.data.sentences import Tagged

TRAIN = Tagged(
    [["The", "cat", "saw", "the", "3", "cats"], ["A", "CAT", "in", "1984", "."]],
    [["D", "N", "V", "D", "Q", "N"], ["D", "N", "P", "Q", "."]],
)


@pytest.fixture(scope="module", params=[True, False], ids=["lower", "cased"])
def coder(request):
    return Coder.of(TRAIN, lower=request.param)


def test_words_are_known_by_their_form_and_rare_ones_come_last(coder):
    words = coder.words.tokens[4:]
    if coder.lower:
        assert words[:2] == ("cat", "the") and coder.rare == 4 + 2
    else:
        assert coder.rare == 4 and {"CAT", "cat", "The", "the"} <= set(words)
    assert "0" in words and "0000" in words and "1984" not in words
    assert coder.labels == (".", "D", "N", "P", "Q", "V")


def test_a_sentence_as_codes_and_back(coder):
    coded = coder.encode(TRAIN.sentences[0], TRAIN.labels[0])
    assert coder.names(coded.labels) == TRAIN.labels[0]
    assert coded.words.dtype == coded.spelled.dtype == coded.labels.dtype == np.int32
    assert coded.characters.shape == (6, SPELLED) and coded.spelled.tolist() == [3, 3, 3, 3, 1, 4]
    spelt = [
        "".join(coder.characters.tokens[code] for code in row[:length])
        for row, length in zip(coded.characters, coded.spelled, strict=True)
    ]
    assert spelt == TRAIN.sentences[0]  # characters keep their case, and digits what they are
    assert not coded.characters[0, 3:].any()
    assert (coded.words[0] == coded.words[3]) == coder.lower


def test_what_is_not_known_is_unknown(coder):
    coded = coder.encode(["dog", "<unk>", "<pad>", "東京", "c\U0001f600t"])
    assert set(coded.words.tolist()) == {1}
    assert coded.characters[3, :2].tolist() == [1, 1] and coded.characters[4, 1] == 1
    assert not coded.labels.any()
    with pytest.raises(KeyError):
        coder.encode(["cat"], ["X"])


def test_a_sentence_without_words(coder):
    coded = coder.encode([])
    assert [len(part) for part in coded] == [0, 0, 0, 0]
    assert coded.characters.shape == (0, SPELLED)


def test_of_a_long_word_both_ends_are_read():
    word = "a" * 50 + "b" * 50
    assert abridged(word) == "a" * 8 + "b" * 8 and abridged("a" * SPELLED) == "a" * SPELLED
