"""Words of generated texts, against counts by hand."""

import math

import pytest

from rnnlab.data.spelling import known_share, spelled_words

KNOWN = frozenset({"the", "king", "don't", "über"})


def test_words_are_runs_of_letters_in_lower_case():
    text = "The KING, don't! 'Tis über-all 4th x_y the"
    assert spelled_words(text) == ["the", "king", "don't", "tis", "über", "all", "th", "x", "y"]
    assert spelled_words(text + ".")[-1] == "the"
    assert spelled_words("") == spelled_words("abc") == spelled_words("123 -- ") == []


@pytest.mark.parametrize(
    ("text", "shortest", "share"),
    [("The kxng. ", 1, 0.5), ("The king. ", 4, 1.0), ("the kxng don't ", 4, 0.5)],
)
def test_share_of_words_that_exist(text, shortest, share):
    assert known_share(text, KNOWN, shortest) == share


def test_no_words_have_no_share():
    assert math.isnan(known_share("12 34 ", KNOWN)) and math.isnan(known_share("the ", KNOWN, 4))
