"""Generated tasks: targets recomputed from the inputs alone, baselines by sampling and counting."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.data import tasks
from rnnlab.errors import UsageError
from tests import quick

KEY = jax.random.key(11)
LENGTHS = {"parity": 9, "parity_running": 9, "adding": 11, "copy": 7}


def draw(name, batch=300, length=None, key=KEY, dtype=jnp.float32):
    task = tasks.by_name(name)
    sample = quick.jit(task.sample, static_argnums=(1, 2, 3))
    drawn = sample(key, batch, length or LENGTHS.get(name, 37), dtype)
    return task, jax.tree.map(np.asarray, drawn)


@pytest.mark.parametrize("name", tasks.TASKS)
def test_shapes_and_types(name):
    task, batch = draw(name, 5)
    steps = task.steps(LENGTHS.get(name, 37))
    assert batch.xs.shape == (steps, 5, task.features_in) and batch.xs.dtype == np.float32
    assert batch.targets.shape == ((steps, 5) if task.every_step else (5,))
    assert batch.targets.dtype == (np.int32 if task.classes else np.float32)
    assert batch.lengths.shape == (5,) and batch.lengths.dtype == np.int32
    assert task.features_out == max(1, task.classes)


@pytest.mark.parametrize("name", tasks.TASKS)
def test_the_key_decides(name):
    _, a = draw(name)
    _, b = draw(name)
    _, c = draw(name, key=jax.random.key(12))
    assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
    assert not np.array_equal(a.xs, c.xs) and not np.array_equal(a.targets, c.targets)


def test_maps_over_keys_and_takes_float64():
    keys = jax.random.split(KEY, 3)
    many = jax.vmap(lambda key: tasks.Adding().sample(key, 4, 6, jnp.float64))(keys)
    one = tasks.Adding().sample(keys[1], 4, 6, jnp.float64)
    assert many.xs.shape == (3, 6, 4, 2) and many.xs.dtype == jnp.float64
    np.testing.assert_array_equal(many.xs[1], one.xs)
    np.testing.assert_array_equal(many.targets[1], one.targets)


# --- targets, recomputed in NumPy from inputs and lengths ---


@pytest.mark.parametrize("name", ["parity", "parity_running"])
def test_parity(name):
    task, batch = draw(name)
    for b, length in enumerate(batch.lengths):
        bits = batch.xs[:length, b, 0]
        assert set(np.unique(bits)) <= {-1.0, 1.0}
        odd = [int((bits[: t + 1] == 1).sum() % 2) for t in range(length)]
        if task.every_step:
            assert batch.targets[:length, b].tolist() == odd
        else:
            assert batch.targets[b] == odd[-1]
    counts = np.bincount(batch.lengths, minlength=10)
    assert counts[0] == 0 and (counts[1:] > 10).all()  # of 33 expected for each of 1 .. 9


def test_parity_of_one_length():
    batch = tasks.Parity(varied=False).sample(KEY, 4, 6)
    assert batch.lengths.tolist() == [6] * 4


def test_adding():
    _, batch = draw("adding")
    numbers, marks = np.moveaxis(batch.xs.astype(np.float64), -1, 0)
    assert ((marks[:5].sum(axis=0) == 1) & (marks[5:].sum(axis=0) == 1)).all()
    assert set(np.unique(marks)) == {0.0, 1.0}
    assert (marks.sum(axis=1) > 0).all()  # every step can be marked
    assert numbers.min() >= 0 and numbers.max() < 1
    np.testing.assert_allclose(batch.targets, (numbers * marks).sum(axis=0), rtol=1e-6)


def test_copy():
    _, batch = draw("copy")
    np.testing.assert_array_equal(batch.xs.sum(axis=-1), 1)
    inputs = batch.xs.argmax(axis=-1)
    first, pause, mark, last = np.split(inputs, [10, 16, 17])
    assert set(np.unique(first)) == set(range(8))
    assert (pause == 8).all() and (mark == 9).all() and (last == 8).all() and len(last) == 10
    np.testing.assert_array_equal(batch.targets[:17], 8)
    np.testing.assert_array_equal(batch.targets[17:], first)


@pytest.mark.parametrize(
    ("name", "intervals"),
    [
        ("temporal_order", [(3, 7), (14, 18)]),
        ("temporal_order_3", [(3, 7), (11, 14), (22, 25)]),
    ],
)
def test_temporal_order(name, intervals):
    task, batch = draw(name, 400)
    inputs = batch.xs.argmax(axis=-1)
    assert (batch.xs.sum(axis=-1) == 1).all() and set(np.unique(inputs)) == set(range(6))
    seen = [set() for _ in intervals]
    for b, column in enumerate(inputs.T):
        at = np.flatnonzero(column < 2)
        assert len(at) == len(intervals)
        for place, (low, high), where in zip(at, intervals, seen, strict=True):
            assert low <= place < high
            where.add(place)
        assert batch.targets[b] == int("".join(map(str, column[at])), 2)
    assert [len(where) for where in seen] == [high - low for low, high in intervals]
    assert set(np.unique(batch.targets)) == set(range(task.classes))


# --- baselines ---


def test_baseline_of_adding_is_the_variance():
    task, batch = draw("adding", 100_000)
    targets = batch.targets.astype(np.float64)
    assert task.baseline(11) == 1 / 6
    # The kurtosis of a triangular distribution is 2.4: the variance's own error is sqrt(1.4 / n) v.
    assert targets.var() == pytest.approx(1 / 6, abs=4 * math.sqrt(1.4 / 1e5) / 6)
    assert targets.mean() == pytest.approx(1, abs=4 * math.sqrt(1 / 6e5))


@pytest.mark.parametrize("name", ["parity", "parity_running", "temporal_order", "temporal_order_3"])
def test_baseline_of_classes_is_the_entropy(name):
    task, batch = draw(name, 20_000)
    targets = batch.targets[-1] if task.every_step else batch.targets
    shares = np.bincount(targets, minlength=task.classes) / len(targets)
    entropy = -(shares * np.log(shares)).sum()
    assert task.baseline(37) == pytest.approx(math.log(task.classes), rel=1e-15)
    # An empirical entropy lies below the true one by (classes - 1) / 2n in the mean.
    assert entropy == pytest.approx(task.baseline(37), abs=10 * task.classes / len(targets))


def test_parity_says_nothing_before_the_last_bit():
    """All 2^5 sequences: given the first four bits, both answers are equally frequent."""
    bits = (np.arange(32)[:, None] >> np.arange(5)) & 1
    parity = bits.sum(axis=1) % 2
    prefixes = bits[:, :4] @ (1 << np.arange(4))
    assert all(parity[prefixes == prefix].sum() == 1 for prefix in range(16))


@pytest.mark.parametrize("length", [1, 7, 100])
def test_baseline_of_copy_is_the_mean_entropy_of_the_steps(length):
    task, batch = draw("copy", 4000, length)
    entropies = []
    for row in batch.targets:
        shares = np.bincount(row, minlength=9) / row.size
        entropies.append(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    assert task.baseline(length) == pytest.approx(10 * math.log(8) / (length + 20), rel=1e-15)
    assert np.mean(entropies) == pytest.approx(task.baseline(length), rel=2e-3)


# --- bad use ---


@pytest.mark.parametrize(
    ("name", "length", "message"),
    [
        ("parity", 0, "length=0: Parity needs an integer of at least 1"),
        ("adding", 1, "length=1: Adding needs an integer of at least 2"),
        ("copy", 0, "length=0: CopyMemory"),
        ("temporal_order", 9, "length=9: TemporalOrder needs an integer of at least 10"),
        ("adding", 2.5, "length=2.5"),
    ],
)
def test_lengths_that_are_not_defined(name, length, message):
    task = tasks.by_name(name)
    for call in (task.baseline, task.steps, lambda n: task.sample(KEY, 2, n)):
        with pytest.raises(UsageError, match=message):
            call(length)


def test_other_bad_arguments():
    with pytest.raises(UsageError, match="batch=0"):
        tasks.Adding().sample(KEY, 0, 5)
    with pytest.raises(UsageError, match="dtype=int32"):
        tasks.Adding().sample(KEY, 2, 5, jnp.int32)
    with pytest.raises(UsageError, match="symbols=4: must be 2 or 3"):
        tasks.TemporalOrder(4)
    with pytest.raises(UsageError, match=r"task='add'.*adding"):
        tasks.by_name("add")


def test_sizes_of_numpy_are_integers():
    task = tasks.by_name("adding")
    assert type(task.check(np.int64(9))) is int and task.steps(np.int32(9)) == 9
    with pytest.raises(UsageError, match=r"^length=2147483648: .* at most 2147483647"):
        task.check(2**31)


def test_copying_fewer_symbols():
    task = tasks.CopyMemory(count=2)
    batch = task.sample(KEY, 400, 5)
    xs = np.argmax(np.asarray(batch.xs), axis=-1)
    targets = np.asarray(batch.targets)
    assert xs.shape == (9, 400) and task.steps(5) == 9
    np.testing.assert_array_equal(targets[-2:], xs[:2])
    assert (targets[:-2] == 8).all() and (xs[6] == 9).all() and (xs[2:6] == 8).all()
    assert task.baseline(5) == pytest.approx(2 * math.log(8) / 9)
    with pytest.raises(UsageError, match="count=0"):
        tasks.CopyMemory(count=0)
