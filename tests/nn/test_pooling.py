"""Pooling and character features against plain NumPy; padding never matters."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.errors import UsageError
from rnnlab.nn import AttentionPooling, CharacterCNN, CharacterLSTM, Functional, pooling

LENGTHS = np.array([4, 2, 0])
YS = np.random.default_rng(0).normal(size=(3, 4, 6))
ATTENTION = AttentionPooling(6, 5, param_dtype=jnp.float64, rngs=nnx.Rngs(0))

POOLINGS = {
    "last": pooling.last,
    "both": lambda ys, lengths: pooling.last(ys, lengths, backward=2),
    "mean": pooling.mean,
    "largest": pooling.largest,
    "attention": ATTENTION,
}


def attended(ys):
    weights = {
        name: np.asarray(getattr(ATTENTION, name).kernel.get_value())
        for name in ("hidden", "score")
    }
    scores = (np.tanh(ys @ weights["hidden"]) @ weights["score"])[:, 0]
    return np.exp(scores) @ ys / np.exp(scores).sum()


REFERENCE = {
    "last": lambda ys: ys[-1],
    "both": lambda ys: np.concatenate([ys[-1, :4], ys[0, 4:]]),
    "mean": lambda ys: ys.mean(axis=0),
    "largest": lambda ys: ys.max(axis=0),
    "attention": attended,
}


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_is_the_equation_over_the_steps_of_each_sequence(name):
    found = POOLINGS[name](jnp.asarray(YS), jnp.asarray(LENGTHS))
    want = [
        REFERENCE[name](ys[:n]) if n else np.zeros(6) for ys, n in zip(YS, LENGTHS, strict=True)
    ]
    np.testing.assert_allclose(found, want, atol=1e-12)


@pytest.mark.parametrize("name", POOLINGS)
def test_padding_has_no_value_and_no_gradient(name):
    past = (np.arange(4) >= LENGTHS[:, None])[..., None]
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(3, 6)))

    def run(ys):
        loss = lambda ys: (POOLINGS[name](ys, jnp.asarray(LENGTHS)) * weights).sum()  # noqa: E731
        return jax.value_and_grad(loss)(jnp.asarray(ys))

    value, gradient = run(YS)
    other, other_gradient = run(np.where(past, np.nan, YS))
    np.testing.assert_array_equal(value, other)
    np.testing.assert_array_equal(gradient, other_gradient)
    assert not np.where(past, gradient, 0).any()


@pytest.mark.parametrize("name", POOLINGS)
def test_no_steps_at_all(name):
    found = POOLINGS[name](jnp.zeros((3, 0, 6)), jnp.zeros(3, jnp.int32))
    np.testing.assert_array_equal(found, np.zeros((3, 6)))


def test_attention_gives_padding_no_weight():
    weights = ATTENTION.weights(jnp.asarray(YS), jnp.asarray(LENGTHS))
    np.testing.assert_allclose(weights.sum(axis=1), [1, 1, 0], atol=1e-12)
    assert not weights[1, 2:].any()


CHARACTERS = {
    "lstm": lambda rngs: CharacterLSTM(9, 3, 4, param_dtype=jnp.float64, rngs=rngs),
    "cnn": lambda rngs: CharacterCNN(9, 3, 4, param_dtype=jnp.float64, rngs=rngs),
}
MODELS = {name: Functional(make) for name, make in CHARACTERS.items()}
PARAMS = {name: model.init(jax.random.key(1)) for name, model in MODELS.items()}


@partial(jax.jit, static_argnums=0)
def run(name, params, codes, lengths):
    """The features of words, and the gradient of their sum."""

    def loss(params):
        found = MODELS[name].bind(params)(codes, lengths)
        return found.sum(), found

    return jax.grad(loss, has_aux=True)(params)[::-1]


def features(name, codes, lengths):
    return run(name, PARAMS[name], np.asarray(codes), np.asarray(lengths))[0]


@pytest.mark.parametrize("name", CHARACTERS)
@settings(max_examples=5, deadline=None)
@given(words=st.lists(st.lists(st.integers(1, 8), max_size=4), min_size=6, max_size=6))
@pytest.mark.slow
def test_a_word_alone_has_the_features_that_it_has_in_a_batch(name, words):
    codes = np.full((2, 3, 4), 5, np.int32)  # what is past the end is any character
    lengths = np.array([len(word) for word in words]).reshape(2, 3)
    for place, word in enumerate(words):
        codes[place // 3, place % 3, : len(word)] = word
    together = features(name, codes, lengths).reshape(6, -1)
    for word, found in zip(words, together, strict=True):
        if not word:
            assert not found.any()
            continue
        room = np.zeros((1, 1, 4), np.int32)  # one shape, so that nothing is compiled again
        room[0, 0, : len(word)] = word
        np.testing.assert_allclose(features(name, room, [[len(word)]])[0, 0], found, atol=1e-12)


def test_a_character_cnn_is_the_largest_filter_by_the_equation():
    params, word = PARAMS["cnn"], [3, 1, 8]
    xs = np.asarray(params["embed"]["table"])[word]
    xs = np.concatenate([np.zeros((1, 3)), xs, np.zeros((1, 3))])
    kernel, bias = (np.asarray(params["filters"][name]) for name in ("kernel", "bias"))
    want = np.max([xs[i : i + 3].ravel() @ kernel + bias for i in range(3)], axis=0)
    found = features("cnn", [[[*word, 0]]], [[3]])[0, 0]
    np.testing.assert_allclose(found, want, atol=1e-12)


def test_a_character_lstm_reads_from_both_ends():
    one = features("lstm", [[[3, 1, 8, 0]]], [[3]])[0, 0]
    other_end = features("lstm", [[[3, 1, 2, 0]]], [[3]])[0, 0]
    assert np.all(one != other_end)
    longer = features("lstm", [[[3, 1, 8, 8]]], [[3]])[0, 0]
    np.testing.assert_array_equal(one, longer)


@pytest.mark.parametrize("name", CHARACTERS)
def test_padded_characters_have_no_gradient(name):
    lengths = np.array([[2, 0, 0], [0, 0, 0]])
    codes = [np.full((2, 3, 4), junk, np.int32) for junk in (0, 7)]
    for one in codes:
        one[0, 0, :2] = 1, 2
    gradients = [run(name, PARAMS[name], one, lengths)[1] for one in codes]
    jax.tree.map(np.testing.assert_array_equal, *gradients)
    assert not gradients[1]["embed"]["table"][7].any()


def test_odd_settings_are_refused():
    with pytest.raises(UsageError, match="features=5: must be even"):
        CharacterLSTM(9, 3, 5, rngs=nnx.Rngs(0))
    with pytest.raises(UsageError, match="width=2: must be odd"):
        CharacterCNN(9, 3, 4, width=2, rngs=nnx.Rngs(0))
