"""CIDEr and CIDEr-D against numbers worked out by hand, and what follows from their definitions."""

import math

import numpy as np
import pytest

from rnnlab.training.cider import cider


def words(*sentences):
    return [sentence.split() for sentence in sentences]


def test_by_hand():
    """Two images; the words `a` and `dog` are rare (log 2), `the` is in both (log 1 = 0).

    Image 1: "the dog" of the reference "the dog runs"; image 2: "the cat" of "the cat".
    n = 1: caption {dog: ln 2}, reference {dog: ln 2, runs: ln 2}: cosine 1/√2.
    n = 2: {the dog: ln 2}, {the dog: ln 2, dog runs: ln 2}: 1/√2.
    n = 3 and 4: nothing in the caption: 0. Of image 2: 1 and 1, then 0 and 0.
    """
    captions, references = words("the dog", "the cat"), [words("the dog runs"), words("the cat")]
    found = cider(captions, references)
    np.testing.assert_allclose(found, [10 * (2 / math.sqrt(2)) / 4, 10 * 2 / 4])
    penalty = math.exp(-1 / (2 * 36))
    found = cider(captions, references, d=True)
    np.testing.assert_allclose(found, [penalty * 10 * (2 / math.sqrt(2)) / 4, 10 * 2 / 4])


def test_several_references_are_averaged_and_rarity_counts_images():
    """`x` is in two references of one image of three: it counts once, and has log 3."""
    references = [words("x y", "x z"), words("y"), words("q")]
    x, y, z = math.log(3), math.log(3 / 2), math.log(3)
    want = np.mean([x / math.hypot(x, y), x / math.hypot(x, z)]) / 4 * 10
    assert cider(words("x", "y", "q"), references)[0] == pytest.approx(want)


def test_repeating_a_rare_word_pays_in_cider_and_not_in_cider_d():
    references = [words("a red ball"), words("a blue box")]
    once, often = words("a red", "a"), words("red red red", "a")
    plain = [cider(each, references)[0] for each in (once, often)]
    strict = [cider(each, references, d=True)[0] for each in (once, often)]
    assert strict[1] < strict[0]
    # n = 1: the cosine of {red: 3} with {red, ball} is that of {red: 1}; CIDEr-D clips 3 to 1.
    assert plain[1] == pytest.approx(10 / 4 / math.sqrt(2))
    assert strict[1] == pytest.approx(10 / 4 / math.sqrt(2) / 3)


def test_the_same_sentence_has_ten_and_another_none():
    references = [words("one two three four five"), words("six seven eight nine ten")]
    for d in (False, True):
        right = cider([each[0] for each in references], references, d=d)
        np.testing.assert_allclose(right, 10)
        assert cider([[], ["six"]], references, d=d)[0] == 0
        wrong = cider([each[0] for each in references[::-1]], references, d=d)
        np.testing.assert_allclose(wrong, 0)
