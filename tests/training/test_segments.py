"""Segments of labellings, against hand cases and against all ways of matching them."""

import itertools

import numpy as np
import pytest

from rnnlab.training.segments import edit_score, frame_ends, segment_f1, segments


def labels(text):
    return np.array([int(one) for one in text], np.int32)


def test_segments_and_their_seconds():
    found = segments(labels("0011102"))
    assert found == [(0, 0, 2), (1, 2, 5), (0, 5, 6), (2, 6, 7)]
    assert segments(labels("")) == []
    times = np.array([0.0, 0.1, 0.3, 0.4, 0.5, 0.8, 0.9])
    assert [one.seconds(times) for one in found][1:] == [
        (0.3, 0.8),
        (0.8, 0.9),
        (0.9, pytest.approx(1.0)),
    ]
    assert frame_ends(np.array([2.0])) == [2.0]


@pytest.mark.parametrize(
    ("gold", "found", "f1"),
    [
        ("00110", "00110", 1.0),
        ("0000", "1111", 0.0),
        ("0011", "0001", 4 / 4),  # overlaps 2 of 3, and 1 of 2
        ("0000011111", "0111111111", 2 / 4),  # 1 of 5 is too little; 5 of 9
        ("0000", "0100", 2 / (2 + 2)),  # of 0, 1 and 0 only the last covers half
        ("0000000000", "0101010101", 0.0),  # flicker: half of the frames, no segment
        ("00110", "00000", 0.0),  # 0s cover 2 and 1 of 5
    ],
)
def test_f1_by_hand(gold, found, f1):
    assert segment_f1([labels(gold)], [labels(found)]) == pytest.approx(f1)


def _hits_by_all_matchings(gold, found, overlap):
    """The most pairs of segments that can be right, of all ways to pair them."""
    a, b = segments(gold), segments(found)

    def good(x, y):
        frames = [set(range(s.start, s.stop)) for s in (x, y)]
        share = len(frames[0] & frames[1]) / len(frames[0] | frames[1])
        return x.label == y.label and share >= overlap

    a, b = sorted((a, b), key=len)
    return max(
        sum(good(x, y) for x, y in zip(a, chosen, strict=True))
        for chosen in itertools.permutations(b, len(a))
    ), len(a) + len(b)


def test_f1_against_all_ways_of_pairing():
    """Above a half a segment fits one other at most, so that the greedy choice is the best."""
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(150):
        gold, found = (np.repeat(rng.integers(0, 3, 5), rng.integers(1, 5, 5)) for _ in range(2))
        size = min(len(gold), len(found))
        gold, found = gold[:size], found[:size]
        hits, every = _hits_by_all_matchings(gold, found, 0.51)
        assert segment_f1([gold], [found], 0.51) == pytest.approx(2 * hits / every)
        seen.add(hits)
    assert len(seen) >= 4


def test_videos_count_together_and_nothing_is_right():
    a, b = labels("0011"), labels("00001111")
    assert segment_f1([a, b], [a, 1 - b]) == pytest.approx(2 * 2 / 8)
    assert segment_f1([labels("")], [labels("")]) == 1.0


@pytest.mark.parametrize(
    ("gold", "found", "score"),
    [
        ("000111", "011111", 1.0),  # lengths do not count
        ("0120", "0120", 1.0),
        ("0000", "1111", 0.0),
        ("0101", "0000", 1 - 3 / 4),
        ("0000", "0101", 1 - 3 / 4),
        ("012", "0212", 1 - 1 / 4),
        ("", "", 1.0),
    ],
)
def test_edit_score_by_hand(gold, found, score):
    assert edit_score([labels(gold)], [labels(found)]) == pytest.approx(score)


def test_edit_score_against_recursion():
    def distance(a, b):
        if not a or not b:
            return len(a) + len(b)
        same = distance(a[1:], b[1:]) + (a[0] != b[0])
        return min(same, distance(a[1:], b) + 1, distance(a, b[1:]) + 1)

    rng = np.random.default_rng(1)
    for _ in range(40):
        gold, found = (rng.integers(0, 3, 6) for _ in range(2))
        a, b = ([one.label for one in segments(x)] for x in (gold, found))
        expected = 1 - distance(a, b) / max(len(a), len(b))
        assert edit_score([gold], [found]) == pytest.approx(expected)
    assert edit_score([gold, gold], [gold, 9 + gold]) == 0.5
