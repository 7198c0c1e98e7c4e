"""Pipelines: what comes when, against plain Python; iterators that stop and go on."""

import itertools
import json
from typing import Any, NamedTuple

import numpy as np
import pytest

from rnnlab.data import buckets, pipelines
from rnnlab.data.buckets import Buckets
from rnnlab.data.pipelines import Feed
from rnnlab.errors import UsageError

# --- shuffled ---


def test_an_epoch_holds_every_row_once_and_the_next_in_another_order():
    rows = np.arange(12)
    data: Any = pipelines.shuffled({"x": rows * 10, "y": rows}, 4, seed=1)
    epochs = [[data[3 * epoch + i] for i in range(3)] for epoch in range(2)]
    orders = [np.concatenate([batch["y"] for batch in epoch]) for epoch in epochs]
    for epoch, order in zip(epochs, orders, strict=True):
        assert sorted(order) == list(range(12))
        assert all(np.array_equal(batch["x"], batch["y"] * 10) for batch in epoch)
    assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[0], rows)
    again: Any = pipelines.shuffled({"x": rows * 10, "y": rows}, 4, seed=1)
    other: Any = pipelines.shuffled({"x": rows * 10, "y": rows}, 4, seed=2)
    assert np.array_equal(again[4]["y"], epochs[1][1]["y"])
    assert not np.array_equal(other[0]["y"], epochs[0][0]["y"])


def test_rows_that_fill_no_batch_differ_between_epochs():
    data: Any = pipelines.shuffled(np.arange(5), 2, seed=0)
    left_out = {
        tuple(set(range(5)) - {*data[2 * epoch], *data[2 * epoch + 1]}) for epoch in range(12)
    }
    assert all(len(rows) == 1 for rows in left_out) and len(left_out) > 2


def test_collate_sees_the_rows():
    data: Any = pipelines.shuffled(np.zeros((6, 7)), 3, 0, collate=lambda rows: rows.T)
    assert data[0].shape == (7, 3)


@pytest.mark.parametrize("batch", [0, 7])
def test_a_batch_larger_than_the_data(batch):
    with pytest.raises(UsageError, match=f"batch={batch}: must be within 1 .. 6"):
        pipelines.shuffled(np.zeros(6), batch, 0)
    with pytest.raises(UsageError, match=r"arrays: have \[5, 6\] rows"):
        pipelines.shuffled((np.zeros(6), np.zeros(5)), 2, 0)


# --- streams ---


def test_windows_continue_and_targets_are_shifted():
    codes = np.arange(100, 123)  # 23 codes in 3 rows of 7: two are left out, and one of each row
    data: Any = pipelines.stream(codes, batch=3, length=2)
    rows = [codes[:7], codes[7:14], codes[14:21]]
    for epoch in range(2):
        windows = [data[3 * epoch + i] for i in range(3)]
        assert [bool(window.first) for window in windows] == [True, False, False]
        for b, row in enumerate(rows):
            assert np.concatenate([w.xs[:, b] for w in windows]).tolist() == row[:6].tolist()
            assert np.concatenate([w.targets[:, b] for w in windows]).tolist() == row[1:].tolist()
    assert windows[0].xs.shape == (2, 3) and windows[0].xs.dtype == np.int32


def test_number_of_windows_is_zarembas():
    """Penn Treebank's 929,589 words in 20 rows and 35 steps: 1327 windows in an epoch."""
    assert len(pipelines.Stream(np.zeros(929_589, np.int32), 20, 35)) == 1327


@pytest.mark.parametrize(
    ("count", "batch", "steps", "message"),
    [
        (8, 3, 2, "needs 9 codes and the corpus has 8"),
        (0, 1, 1, "corpus has 0"),
        (9, 0, 2, "batch=0"),
        (9, 1, 0, "length=0"),
    ],
)
def test_a_corpus_that_is_too_short(count, batch, steps, message):
    with pytest.raises(UsageError, match=message):
        pipelines.stream(np.zeros(count, np.int32), batch, steps)


# --- buckets ---

LENGTHS = [3, 9, 1, 4, 8, 2, 9, 5, 3, 3]
SEQUENCES = [np.full((length, 2), index + 1) for index, length in enumerate(LENGTHS)]


def test_every_sequence_comes_once_padded_to_its_boundary():
    data: Any = buckets.bucketed(SEQUENCES, 2, (3, 5, 9), seed=3)
    orders = []
    for epoch in range(2):
        batches = [data[6 * epoch + i] for i in range(6)]  # 5, 2 and 3 sequences: 3 + 1 + 2 batches
        rows = np.concatenate([batch.rows for batch in batches])
        orders.append(rows.tolist())
        assert sorted(rows[rows >= 0]) == list(range(10)) and (rows < 0).sum() == 2
        for batch in batches:
            size = len(batch.values)
            assert size in (3, 5, 9) and batch.values.shape == (size, 2, 2)
            for place, (row, length) in enumerate(zip(batch.rows, batch.lengths, strict=True)):
                assert length == (LENGTHS[row] if row >= 0 else 0)
                assert row < 0 or size == min(b for b in (3, 5, 9) if b >= length)
                assert (batch.values[:length, place] == row + 1).all()
                assert (batch.values[length:, place] == 0).all()
    assert orders[0] != orders[1]


def test_padding_is_what_is_counted_in_the_batches():
    plan = Buckets(LENGTHS, 2, (3, 5, 9))
    data: Any = buckets.bucketed(SEQUENCES, 2, (3, 5, 9), seed=3)
    batches = [data[i] for i in range(len(plan))]
    steps = sum(batch.values.shape[0] * 2 for batch in batches)
    assert plan.padding == pytest.approx(1 - sum(LENGTHS) / steps)
    assert plan.padding_without == pytest.approx(1 - sum(LENGTHS) / (10 * 9))
    assert plan.padding < plan.padding_without


class Pair(NamedTuple):
    source: np.ndarray
    target: np.ndarray
    label: Any


PAIRS = [
    Pair(np.full(a, i + 1), np.full((b, 2), -i - 1.0), np.float32(i))
    for i, (a, b) in enumerate([(3, 1), (0, 2), (7, 5), (2, 9), (6, 6), (0, 0)])
]


@pytest.mark.parametrize("time_major", [True, False])
def test_rows_of_several_parts_are_padded_each_to_the_longest_of_the_bucket(time_major):
    data: Any = buckets.bucketed(PAIRS, 2, (3, 9), seed=1, time_major=time_major)
    seen = []
    for index in range(4):  # 3 rows up to 3 steps and 3 up to 9
        values, lengths, rows = data[index]
        assert isinstance(values, Pair) and isinstance(lengths, Pair)
        if time_major:
            values = values._replace(
                source=values.source.T, target=values.target.transpose(1, 0, 2)
            )
        assert (values.source.shape[1], values.target.shape[1]) in {(3, 2), (7, 9)}
        for place, row in enumerate(rows):
            expected = PAIRS[row] if row >= 0 else Pair(np.zeros(0), np.zeros((0, 2)), 0)
            for part in ("source", "target"):
                value, length = getattr(values, part)[place], getattr(lengths, part)[place]
                assert length == len(getattr(expected, part))
                np.testing.assert_array_equal(value[:length], getattr(expected, part))
                assert not value[length:].any()
            assert values.label[place] == expected.label and lengths.label[place] == (row >= 0)
        assert values.source.dtype == PAIRS[0].source.dtype and values.label.dtype == np.float32
        seen += rows[rows >= 0].tolist()
    assert sorted(seen) == list(range(6))


def test_lengths_of_rows_and_what_they_leave_empty():
    lengths = buckets.row_lengths(PAIRS)
    assert lengths.tolist()[:2] == [[3, 1, 1], [0, 2, 1]]
    assert buckets.even_boundaries(lengths, 2) == (6, 9)
    empty: Any = buckets.bucketed([np.zeros(0, np.int32)] * 3, 2, (4,), seed=0)
    assert empty[0].values.shape == (1, 2) and empty[1].lengths.tolist() == [0, 0]


def test_even_boundaries():
    assert buckets.even_boundaries(range(1, 101), 4) == (26, 51, 76, 100)
    assert buckets.even_boundaries([5, 5, 5], 4) == (5,)
    with pytest.raises(UsageError, match="count=0"):
        buckets.even_boundaries([1], 0)


def test_tight_boundaries_have_the_least_padding_of_all():
    random = np.random.default_rng(0)
    for _ in range(40):
        lengths = random.integers(0, 12, random.integers(1, 30)).tolist()
        count, known = int(random.integers(1, 5)), sorted(set(lengths))
        tried = [
            (*chosen, known[-1])
            for several in range(count)
            for chosen in itertools.combinations(known[:-1], several)
        ]
        costs = {
            boundaries: sum(min(b for b in boundaries if b >= length) for length in lengths)
            for boundaries in tried
        }
        found = buckets.tight_boundaries(lengths, count)
        assert costs[found] == min(costs.values())
    with pytest.raises(UsageError, match="count=0"):
        buckets.tight_boundaries([1], 0)


@pytest.mark.parametrize(
    ("lengths", "batch", "boundaries", "message"),
    [
        ([], 1, (2,), "there must be sequences"),
        ([3], 1, (2,), "longest sequence has 3 steps; add a boundary"),
        ([3], 1, (4, 4), "must ascend"),
        ([3], 0, (4,), "batch=0"),
    ],
)
def test_bad_buckets(lengths, batch, boundaries, message):
    with pytest.raises(UsageError, match=message):
        Buckets(lengths, batch, boundaries)


# --- iterators ---

DATASETS = {
    "shuffled": lambda: pipelines.shuffled(np.arange(10), 3, seed=1),
    "stream": lambda: pipelines.stream(np.arange(50), 2, 4),
    "bucketed": lambda: buckets.bucketed([np.zeros(4)] * 9, 2, (4,), seed=1),
}


@pytest.mark.parametrize("name", DATASETS)
def test_a_feed_resumes_at_its_position(name):
    feed = Feed(DATASETS[name]())
    feed.take(7)
    position = json.loads(json.dumps(feed.position()))
    expected = feed.take(9)
    other = Feed(DATASETS[name]())
    other.take(2)
    other.restore(position)
    for a, b in zip(_leaves(expected), _leaves(other.take(9)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_feed_stacks():
    window = Feed(DATASETS["stream"]()).take(3)
    assert window.xs.shape == (3, 4, 2) and window.first.tolist() == [True, False, False]


def _leaves(tree):
    return tree if isinstance(tree, tuple) and not isinstance(tree, np.ndarray) else (tree,)
