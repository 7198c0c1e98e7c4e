"""Sums as sequences of characters, against Python's own arithmetic and strings."""

import jax
import numpy as np
import pytest

from rnnlab.data import sums
from rnnlab.data.sums import VOCABULARY, Numbers
from rnnlab.errors import UsageError


def texts(codes, lengths):
    """The characters of each row up to its length; what follows must be padding."""
    rows = []
    for row, length in zip(np.asarray(codes), np.asarray(lengths), strict=True):
        assert not row[length:].any()
        rows.append("".join(VOCABULARY.tokens[code] for code in row[:length]))
    return rows


def mixed(x):
    """`lowbias32` with Python's integers."""
    x = (x ^ x >> 16) * 0x7FEB352D % 2**32
    x = (x ^ x >> 15) * 0x846CA68B % 2**32
    return x ^ x >> 16


@pytest.mark.parametrize(("digits", "reverse"), [(1, False), (8, True)])
def test_sums_are_written_as_python_writes_them(digits, reverse):
    drawn = sums.draw(jax.random.key(digits), 60, digits)
    edges = np.array([(0, 0), (9, 1), (10**digits - 1,) * 2, (0, 10**digits - 1)], np.int32)
    numbers = Numbers(*(np.append(*both) for both in zip(drawn, edges.T, strict=True)))
    written = sums.written(numbers, digits, reverse)
    pairs = list(zip(*(number.tolist() for number in numbers), strict=True))
    lines = [f"{a}+{b}" for a, b in pairs]
    assert texts(written.source, written.source_lengths) == [
        line[::-1] if reverse else line for line in lines
    ]
    assert texts(written.target, written.target_lengths) == [f"{a + b}</s>" for a, b in pairs]
    assert written.source.shape == (64, 2 * digits + 1)
    assert written.target.shape == (64, digits + 2)
    assert all(leaf.dtype == np.int32 for leaf in written)
    read = sums.read_sums([f" {line.replace('+', ' + ')}" for line in lines], digits)
    assert all(np.array_equal(a, b) for a, b in zip(read, numbers, strict=True))


def test_each_size_is_as_likely():
    drawn = sums.draw(jax.random.key(0), 30_000, 3)
    for numbers in drawn:
        counts = np.bincount(np.asarray(sums.sizes(numbers)), minlength=4)
        assert counts[0] == 0 and (abs(counts[1:] - 10_000) < 500).all()
    assert set(range(10)) <= set(np.asarray(drawn.first).tolist())


def test_the_share_is_the_hash_of_both_numbers_in_any_order():
    numbers = sums.draw(jax.random.key(3), 200, 8)
    there = np.asarray(sums.share(numbers))
    expected = [
        mixed(mixed(min(a, b)) ^ max(a, b)) % 20
        for a, b in zip(*(number.tolist() for number in numbers), strict=True)
    ]
    assert there.tolist() == expected
    assert np.array_equal(there, sums.share(Numbers(numbers.second, numbers.first)))


def test_no_sum_to_train_on_is_held_out():
    batch = jax.jit(lambda key: sums.training_batch(key, 10_000, 2, False))(jax.random.key(1))
    kept = np.asarray(batch.target_lengths) > 0
    assert kept.mean() > 0.99
    lines = texts(batch.source, batch.source_lengths)
    trained = {line for line, one in zip(lines, kept, strict=True) if one}
    parts = {}
    for part in (sums.VALIDATION, sums.TEST):
        numbers = sums.held_out_numbers(part, 10**6, 2)
        pairs = zip(*(number.tolist() for number in numbers), strict=True)
        parts[part] = {f"{a}+{b}" for a, b in pairs}
        assert len(parts[part]) == len(numbers.first) and 300 < len(parts[part]) < 700
        assert not parts[part] & trained
        for line in parts[part]:
            a, b = line.split("+")
            assert f"{b}+{a}" not in trained
    assert not parts[sums.VALIDATION] & parts[sums.TEST]
    assert len(trained) > 3500  # of 9,000 pairs of up to two digits that are not held out
    assert len(sums.held_out_numbers(sums.TEST, 70, 3).first) == 70


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "'' is no sum of two whole numbers, such as 12"),
        ("12-3", "'12-3' is no sum"),
        ("1+2+3", "is no sum"),
        ("\u0661+\u0662", "is no sum"),
        ("-1+2", "is no sum"),
        ("12+3456", "3456 has 4 digits; the model adds numbers of up to 3"),
        ("9" * 5000 + "+1", "has 5000 digits"),
    ],
)
def test_lines_that_are_no_sums(line, message):
    with pytest.raises(UsageError, match=message):
        sums.read_sums(["1+1", line], 3)


def test_zeros_before_a_number_are_no_digits_of_it():
    assert sums.read_sums(["007+0000", "+".join("00")], 1).first.tolist() == [7, 0]
    assert sums.read_sums([], 3).first.shape == (0,)
