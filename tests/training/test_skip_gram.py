"""Skip-gram: its pairs by enumeration, its loss by loops, its updates by dense descent."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from experiments.embeddings.counting import count_pairs
from rnnlab.errors import UsageError
from rnnlab.training import skip_gram
from rnnlab.training.skip_gram import GROUP, Settings, SkipGram, Stretch, Text
from rnnlab.training.update import updates
from tests import quick

SETTINGS = Settings(features=5, window=3, noise=2, subsample=0.0, batch=64, shared=4)


def made(words=7, count=150, seed=0):
    """A text of short lines, some of one word."""
    draw = np.random.default_rng(seed)
    codes = (draw.random(count) ** 2 * words).astype(np.int32)
    lines = np.cumsum(draw.random(count) < 0.2).astype(np.int32)
    return Text(codes, lines)


def learner(text=None, words=7, dtype=jnp.float32, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    return SkipGram(text or made(words), words, settings, 100, dtype)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.fixture(scope="module")
def drawn():
    """A learner, a stretch that it drew, and random vectors."""
    one = learner(dtype=jnp.float64)
    stretch = quick.jit(one.sample)(jax.random.key(3))
    draw = np.random.default_rng(1)
    params = {name: jnp.asarray(draw.normal(size=(7, 5))) for name in ("words", "contexts")}
    return one, stretch, params


def test_a_stretch_is_the_text_and_starts_anew_after_its_end():
    text = made(count=50)
    one = learner(text)
    assert one.reach == 50
    sample = quick.jit(one.sample)
    for seed in range(4):
        stretch = sample(jax.random.key(seed))
        read = np.asarray(stretch.lines) >= 0
        assert read.sum() == 50 and not read[:3].any() and read[3:53].all()
        found = np.asarray(stretch.words)[read]
        assert any(np.array_equal(found, np.roll(text.codes, -start)) for start in range(50))


def test_pairs_are_those_of_a_window_within_a_line(drawn):
    one, stretch, _ = drawn
    pairs = jax.tree.map(np.asarray, one.pairs(stretch))
    words, lines = map(np.asarray, stretch[:2])
    expected, found = np.zeros((7, 7)), np.zeros((7, 7))
    for i, j in np.ndindex(len(words), len(words)):
        if 0 < abs(i - j) <= 3 and lines[i] == lines[j] >= 0:
            expected[words[i], words[j]] += (4 - abs(i - j)) / 3
    near = GROUP + 6
    for group, i, j in np.ndindex(2, GROUP, near):
        place = pairs.centres[group, i], pairs.contexts[group, j]
        found[place] += pairs.positive[group, i, j]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(pairs.contexts[:, near:], stretch.noise)
    np.testing.assert_allclose(pairs.negative[..., 0], pairs.positive.sum(-1) * 2 / 4)


def test_the_loss_by_loops(drawn):
    one, stretch, params = drawn
    pairs = jax.tree.map(np.asarray, one.pairs(stretch))
    v, u = (np.asarray(params[name]) for name in ("words", "contexts"))
    total = 0.0
    for group, i in np.ndindex(2, GROUP):
        centre = v[pairs.centres[group, i]]
        for j, context in enumerate(pairs.contexts[group]):
            score = float(centre @ u[context])
            if j < GROUP + 6:
                total -= float(pairs.positive[group, i, j]) * math.log(sigmoid(score))
            else:
                total -= float(pairs.negative[group, i, 0]) * math.log(sigmoid(-score))
    rows = params["words"][pairs.centres], params["contexts"][pairs.contexts]
    assert float(skip_gram.total_loss(rows, pairs)) == pytest.approx(total, rel=1e-12)


def test_an_update_is_descent_on_the_whole_tables(drawn):
    one, stretch, params = drawn
    state = one.start(jax.random.key(0))._replace(params=params, step=jnp.int32(25))
    after, metrics = quick.jit(one.update)(state, stretch)
    pairs = one.pairs(stretch)

    def loss(params):
        rows = params["words"][pairs.centres], params["contexts"][pairs.contexts]
        return skip_gram.total_loss(rows, pairs)

    total, gradient = quick.jit(jax.value_and_grad(loss))(params)
    rate = 0.025 * 0.75
    for name in params:
        np.testing.assert_allclose(
            after.params[name], params[name] - rate * gradient[name], rtol=1e-12, atol=1e-14
        )
        assert after.params[name].dtype == jnp.float64
    assert float(metrics["loss"]) == pytest.approx(float(total / pairs.positive.sum()))
    assert float(metrics["learning_rate"]) == pytest.approx(rate)
    assert int(after.step) == 26 and int(after.diverged) == 0


def test_words_that_do_not_occur_stay():
    text = made(5)
    one = learner(text, words=9)
    state = one.start(jax.random.key(0))
    after, _ = quick.jit(lambda state: updates(one, 3, state))(state)
    for name in ("words", "contexts"):
        np.testing.assert_array_equal(after.params[name][5:], state.params[name][5:])
        assert np.any(np.asarray(after.params[name][:5]) != np.asarray(state.params[name][:5]))


@pytest.mark.parametrize("subsample", [0.0, 0.05])
def test_pairs_are_expected_as_counted_by_numpy(subsample):
    text = made(6, 400, seed=2)
    one = learner(text, words=6, subsample=subsample)
    read = skip_gram.read_probability(one.counts, subsample)

    def add(total, key):
        pairs = one.pairs(one.sample(key))
        places = pairs.centres[:, :, None], pairs.contexts[:, None, : GROUP + 6]
        return total.at[places].add(pairs.positive), None

    keys, zero = jax.random.split(jax.random.key(0), 2000), jnp.zeros((6, 6), jnp.float32)
    found = np.asarray(quick.jit(lambda k: jax.lax.scan(add, zero, k)[0])(keys), np.float64)
    counted = count_pairs(text, read, 3, passes=100).toarray()
    # Windows are cut at the ends of stretches, so that shares compare and not counts.
    np.testing.assert_allclose(found / found.sum(), counted / counted.sum(), atol=0.006)


def test_noise_words_are_drawn_by_their_frequency_to_a_power():
    one = learner(power=0.75, shared=2000)
    drawn = np.asarray(quick.jit(one.sample)(jax.random.key(0)).noise).ravel()
    counts = np.bincount(made().codes, minlength=7) ** 0.75
    share = np.bincount(drawn, minlength=7) / len(drawn)
    np.testing.assert_allclose(share, counts / counts.sum(), atol=4 * 0.5 / math.sqrt(len(drawn)))


def test_frequent_words_are_left_out_by_the_formula_of_word2vec():
    counts = np.array([9000, 900, 90, 10])
    f, s = counts / 10_000, 1e-2
    expected = np.minimum((np.sqrt(f / s) + 1) * s / f, 1)
    np.testing.assert_allclose(skip_gram.read_probability(counts, s), expected)
    assert np.all(skip_gram.read_probability(counts, 0.0) == 1)


@pytest.mark.parametrize("power", [0.75, 1.0])
def test_the_optimum_is_that_of_the_expected_loss(power):
    """Descent on the exact expectation of the loss, with vectors long enough, ends at it."""
    text = made(5, 3000, seed=3)
    counts = count_pairs(text, np.ones(5), 2).toarray()
    noise = skip_gram.noise_distribution(np.bincount(text.codes, minlength=5), power)
    negatives = counts.sum(axis=1, keepdims=True) * noise * 3
    assert counts.min() > 0

    def loss(flat):
        v, u = flat.reshape(2, 5, 5)
        scores = v @ u.T
        s = 1 / (1 + np.exp(-scores))
        slope = -counts * (1 - s) + negatives * s
        value = np.sum(counts * np.logaddexp(0, -scores) + negatives * np.logaddexp(0, scores))
        return value / counts.sum(), np.stack([slope @ u, slope.T @ v]).ravel() / counts.sum()

    start = np.random.default_rng(0).normal(size=50) * 0.3
    best = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-7}).x.reshape(2, 5, 5)
    optimum = skip_gram.optimum(counts, noise, 3)
    np.testing.assert_allclose(best[0] @ best[1].T, optimum, atol=1e-2)
    contexts = counts.sum(axis=0) / counts.sum()
    pmi = np.log(counts / counts.sum(axis=1, keepdims=True) / contexts)
    np.testing.assert_allclose(optimum, pmi + np.log(contexts / noise) - math.log(3))


def test_an_update_that_is_not_finite_changes_nothing(drawn):
    one, stretch, params = drawn
    bad = params | {"words": params["words"].at[0, 0].set(jnp.inf)}
    state = one.start(jax.random.key(0))._replace(params=bad)
    after, _ = quick.jit(one.update)(state, stretch)
    assert int(after.diverged) == 1
    for name in bad:
        np.testing.assert_array_equal(after.params[name], bad[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 40}, r"batch=40: must be a multiple of 32"),
        ({"window": 0}, r"window=0"),
        ({"subsample": -1.0}, r"subsample=-1"),
        ({"learning_rate": 0.0}, r"learning_rate=0"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(SETTINGS, **changes)


def test_an_empty_place_is_no_word():
    one = learner(dtype=jnp.float64)
    places = jnp.full((64 + 6,), -1, jnp.int32)
    empty = Stretch(places * 0, places, jnp.zeros((2, 4), jnp.int32))
    state = one.start(jax.random.key(0))
    after, metrics = quick.jit(one.update)(state, empty)
    assert float(metrics["loss"]) == 0 and float(metrics["gradient_norm"]) == 0
    for name in ("words", "contexts"):
        np.testing.assert_array_equal(after.params[name], state.params[name])
