"""CTC against enumeration of all paths: loss, gradient, both decoders and alignments."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.nn import ctc
from tests import quick

STEPS, LABELS = 4, 2


def paths(log_p):
    """`(labels, log p)` of every path."""
    for path in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        said = [k for k, _ in itertools.groupby(path) if k]
        yield tuple(k - 1 for k in said), sum(row[k] for row, k in zip(log_p, path, strict=True))


def by_labels(log_p):
    """The probability of all labels that can be said."""
    found = {}
    for labels, value in paths(log_p):
        found[labels] = found.get(labels, 0) + np.exp(value)
    return found


def drawn(seed, steps=STEPS, labels=LABELS):
    logits = 2 * np.random.default_rng(seed).normal(size=(steps, labels + 1))
    return logits, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


CASES = [list(c) for n in range(STEPS + 1) for c in itertools.product(range(LABELS), repeat=n)]


@pytest.fixture(scope="module")
def nats():
    """Loss of all labels of up to four, for sequences of 4 and of 3 steps with padding of NaN."""
    logits, counts = drawn(0)[0], np.array([len(case) for case in CASES], np.int32)
    labels = np.zeros((len(CASES), STEPS), np.int32)
    for row, case in zip(labels, CASES, strict=True):
        row[: len(case)] = case
    labels[np.arange(STEPS) >= counts[:, None]] = 1  # what is past the end does not matter

    def loss(logits, lengths):
        padded = jnp.concatenate([logits, jnp.full((1, LABELS + 1), jnp.nan)])
        many = jnp.broadcast_to(padded, (len(CASES), *padded.shape))
        many = jnp.where(
            (np.arange(STEPS + 1, dtype=np.int32) < lengths[:, None])[..., None], many, jnp.nan
        )
        values, fits = ctc.ctc_nats(many, lengths, labels, counts)
        return values.sum(), (values, fits)

    run = quick.jit(jax.value_and_grad(loss, has_aux=True))
    return {
        steps: run(logits, np.full(len(CASES), steps, np.int32)) for steps in (STEPS, STEPS - 1)
    }


@pytest.mark.parametrize("steps", [STEPS, STEPS - 1])
def test_the_loss_is_that_of_all_paths(nats, steps):
    (_, (values, fits)), _ = nats[steps]
    found = by_labels(drawn(0)[1][:steps])
    for case, value, fit in zip(CASES, np.asarray(values), np.asarray(fits), strict=True):
        repeats = sum(a == b for a, b in itertools.pairwise(case))
        assert fit == (tuple(case) in found) == (len(case) + repeats <= steps)
        expected = -np.log(found[tuple(case)]) if fit else 0
        assert value == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_what_does_not_fit_has_no_gradient(nats):
    """`p(k at t) - p(k at t | labels)` of those that fit, by enumeration; 0 of the others."""
    _, gradient = nats[STEPS - 1]
    log_p = drawn(0)[1][: STEPS - 1]
    found, expected = by_labels(log_p), np.zeros((STEPS, LABELS + 1))
    for case in CASES:
        if tuple(case) not in found:
            continue
        expected[: STEPS - 1] += np.exp(log_p)
        for path in itertools.product(range(LABELS + 1), repeat=STEPS - 1):
            if tuple(k - 1 for k, _ in itertools.groupby(path) if k) == tuple(case):
                p = np.exp(sum(row[k] for row, k in zip(log_p, path, strict=True)))
                expected[np.arange(STEPS - 1), path] -= p / found[tuple(case)]
    np.testing.assert_allclose(gradient, expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_beams_are_all_labels_and_their_probabilities(seed):
    _, log_p = drawn(seed, steps=5)
    found, beams = by_labels(log_p), ctc.prefix_beam(log_p, width=10_000)
    beams = [beam for beam in beams if beam.log_p > -np.inf]
    assert {beam.labels for beam in beams} == set(found)
    for beam in beams:
        assert np.exp(beam.log_p) == pytest.approx(found[beam.labels])
    assert beams[0].labels == max(found, key=lambda labels: found[labels])
    few = ctc.prefix_beam(log_p, width=3)
    assert len(few) == 3 and few[0].log_p <= beams[0].log_p + 1e-12


def test_the_likeliest_path_may_not_say_the_likeliest_labels():
    """Two steps with blank 0.6: the blank path has 0.36, but `0` has 0.64 by three paths."""
    log_p = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert ctc.greedy(log_p).labels == () and np.exp(ctc.greedy(log_p).log_p) == pytest.approx(0.36)
    best = ctc.prefix_beam(log_p)[0]
    assert best.labels == (0,) and np.exp(best.log_p) == pytest.approx(0.64)


def test_paths_are_merged():
    assert ctc.merged([0, 1, 1, 0, 1, 2, 2, 0]) == (0, 0, 1)
    assert ctc.merged([]) == () and ctc.merged([0, 0]) == ()


@pytest.mark.parametrize("labels", [(), (0,), (0, 0), (1, 0), (0, 1, 1)])
def test_alignments_are_those_of_the_likeliest_path(labels):
    _, log_p = drawn(7, steps=6)
    scored = [
        (sum(row[k] for row, k in zip(log_p, path, strict=True)), path)
        for path in itertools.product(range(LABELS + 1), repeat=6)
        if tuple(k - 1 for k, _ in itertools.groupby(path) if k) == labels
    ]
    path, expected, step = max(scored)[1], [], 0
    for symbol, group in itertools.groupby(path):
        size = len(list(group))
        expected += [(step, step + size)] if symbol else []
        step += size
    assert ctc.aligned(log_p, labels) == expected


def test_edits():
    for said, wanted, count in (
        ("", "", 0),
        ("", "123", 3),
        ("123", "", 3),
        ("123", "123", 0),
        ("13", "123", 1),
        ("1223", "123", 1),
        ("143", "123", 1),
        ("321", "123", 2),
        ("23451", "12345", 2),
    ):
        assert ctc.edits([*map(int, said)], [*map(int, wanted)]) == count
