"""Strings of digits: made of recordings of one speaker, with pauses, each by its number alone."""

import numpy as np
import pytest

from rnnlab.data.digit_strings import Joiner, endless_strings, fixed_strings
from rnnlab.data.recordings import RATE, Recordings, Strings, made_recordings
from rnnlab.errors import UsageError

SETTINGS = Strings(least_pause=0.05, most_pause=0.1, seconds=2)


def loud():
    """Constant recordings that tell what they are: 1000 (digit + 1), and 100 or 300 more."""
    rows = [(digit, speaker, number) for digit in range(10) for speaker in "ab" for number in "01"]
    samples = [
        np.full(
            800 + 80 * int(number), 1000 * (digit + 1) + (100 if speaker == "a" else 300), np.int16
        )
        for digit, speaker, number in rows
    ]
    digits, speakers, numbers = zip(*rows, strict=True)
    return Recordings(samples, np.array(digits, np.int32), speakers, np.array([*map(int, numbers)]))


def heard(samples):
    """`(digit, speaker, samples, samples of silence before)` of each recording in a string."""
    values = np.round(samples / 1000).astype(int)
    edges = np.flatnonzero(np.diff(values)) + 1
    starts = np.concatenate([[0], edges])
    ends = np.concatenate([edges, [len(values)]])
    found, silence = [], 0
    for start, end in zip(starts, ends, strict=True):
        if values[start] == 0:
            silence = end - start
        else:
            level = np.median(samples[start:end])
            found.append(
                (values[start] - 1, "a" if level % 1000 < 200 else "b", end - start, silence)
            )
    return found, silence


def test_strings_say_their_digits():
    """By one speaker each; lengths, speakers and recordings differ."""
    lengths, speakers, sizes = set(), set(), set()
    for string in fixed_strings(loud(), SETTINGS, 40, 3):
        found, after = heard(string.samples)
        assert [digit for digit, *_ in found] == string.digits.tolist()
        assert len({speaker for _, speaker, *_ in found}) == 1
        assert all(400 <= silence <= 800 for *_, silence in found) and 400 <= after <= 800
        assert len(string.samples) <= 2 * RATE and string.samples.dtype == np.int16
        lengths.add(len(found))
        speakers |= {speaker for _, speaker, *_ in found}
        sizes |= {size for *_, size, _ in found}
    assert lengths == {3, 4, 5, 6, 7} and speakers == {"a", "b"} and sizes == {800, 880}


def test_long_strings_lose_their_last_digits():
    settings = Strings(shortest=7, longest=7, least_pause=0.1, most_pause=0.1, seconds=1)
    for string in fixed_strings(loud(), settings, 5, 0):
        found, _ = heard(string.samples)
        assert [digit for digit, *_ in found] == string.digits.tolist() and 4 <= len(found) < 5


def test_batches_are_functions_of_seed_and_number():
    batches = endless_strings(made_recordings(1, 0), SETTINGS, 3, 5)
    samples, digits = batches[7].values
    assert samples.shape == (3, 2 * RATE) and digits.shape == (3, 7)
    again = endless_strings(made_recordings(1, 0), SETTINGS, 3, 5)[7]
    np.testing.assert_array_equal(again.values[0], samples)
    for other in (batches[8], endless_strings(made_recordings(1, 0), SETTINGS, 3, 6)[7]):
        assert not np.array_equal(other.values[0], samples)
    counts = batches[7].lengths[1]
    assert all(not row[count:].any() for row, count in zip(digits, counts, strict=True))


def test_what_cannot_be_joined():
    few = loud().where(loud().labels < 9)
    with pytest.raises(UsageError, match="recordings: a has none of the digit 9"):
        Joiner(few, SETTINGS)
    with pytest.raises(UsageError, match=r"seconds=0\.2: a digit alone takes up to 0\.31 s"):
        Joiner(loud(), Strings(most_pause=0.1, seconds=0.2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shortest": 0}, "shortest=0"),
        ({"longest": 2}, "longest=2: must be at least shortest=3"),
        ({"least_pause": -1.0}, "least_pause=-1.0"),
        ({"most_pause": 0.0}, "most_pause=0.0: must be at least least_pause=0.05"),
        ({"seconds": 0.0}, "seconds=0.0"),
        ({"test": 0}, "test=0"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        Strings(**changes)
