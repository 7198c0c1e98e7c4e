"""The tagger: its loss by the equation, its batches, its noise, and how sentences are labelled."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.data.buckets import pad
from rnnlab.data.coded_words import Coder
from rnnlab.data.made_sentences import made_tagged
from rnnlab.errors import UsageError
from rnnlab.training import tagging
from rnnlab.training.optimisers import Clip, optimiser
from rnnlab.training.tagger_settings import TaggingNetwork
from tests import quick

TAGGED = made_tagged(12, 0)
NETWORK = TaggingNetwork(
    cell="gru",
    hidden=5,
    dropout=0.3,
    dropout_inputs=True,
    embedding=6,
    character_embedding=3,
    spelling=4,
    strategy="autodiff",
)
CODER = Coder.of(TAGGED, lower=True)
ROWS = [CODER.encode(*pair) for pair in zip(*TAGGED, strict=True)]
LENGTHS = [len(row.words) for row in ROWS]


def made(**changes):
    model = tagging.tagger(dataclasses.replace(NETWORK, **changes), CODER)
    params = jax.tree.map(lambda leaf: 2 * leaf, model.init(jax.random.key(0)))
    return model, params


@pytest.fixture(scope="module")
def crf():
    return made()


@pytest.fixture(scope="module")
def softmax():
    return made(crf=False, bidirectional=False, characters="none")


@pytest.fixture(params=["crf", "softmax"])
def model(request):
    return request.getfixturevalue(request.param)


def batch(chosen, steps):
    rows = np.array(chosen, np.int32)
    return pad(ROWS, [steps] * 4, rows, time_major=False)


def loss_of(model, padded, params):
    learner = tagging.tagging_learner(model, optimiser=optimiser("sgd", 0.1), clip=Clip())
    compute = quick.jit(jax.value_and_grad(lambda p: learner.loss(p, (), padded, None)[0]))  # type: ignore[arg-type]
    return compute(params)


@pytest.mark.slow
def test_padding_and_company_change_neither_loss_nor_gradient(model):
    model, params = model
    lengths = np.array(LENGTHS[:3])
    together, gradient = loss_of(model, batch([0, 1, 2, -1], max(LENGTHS) + 3), params)
    alone = [loss_of(model, batch([row], LENGTHS[row]), params) for row in range(3)]
    share = lengths / lengths.sum()
    np.testing.assert_allclose(
        together, share @ np.array([float(loss) for loss, _ in alone]), rtol=1e-5
    )
    want = jax.tree.map(
        lambda *leaves: np.tensordot(share, np.array(leaves), 1),
        *[one for _, one in alone],
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), gradient, want
    )


def test_the_softmax_has_the_cross_entropy_of_each_word(softmax):
    model, params = softmax
    padded = batch([0, 1], max(LENGTHS[:2]))
    module = model.bind(params)
    nats = module.nats(padded.values, padded.lengths.words)
    scores = np.asarray(module.scores(padded.values, padded.lengths.words), np.float64)
    for row in range(2):
        own = scores[row, : LENGTHS[row]]
        log_p = own - np.log(np.exp(own).sum(axis=1, keepdims=True))
        want = -log_p[np.arange(LENGTHS[row]), ROWS[row].labels].sum()
        np.testing.assert_allclose(nats[row], want, rtol=1e-5)


@pytest.mark.slow
def test_labels_do_not_depend_on_the_batch_and_keep_their_order(model, monkeypatch):
    model, params = model
    together = tagging.label(model, params, ROWS)
    monkeypatch.setattr(tagging, "WORDS", 8)  # one sentence at a time
    alone = tagging.label(model, params, ROWS)
    for row, (a, b) in enumerate(zip(together, alone, strict=True)):
        assert len(a[0]) == LENGTHS[row]
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_allclose(a[1], b[1], rtol=1e-5)
        assert np.all((a[1] > 0) & (a[1] <= 1 + 1e-6))


def test_the_crf_answers_iob2_and_empty_sentences(crf):
    model, params = crf
    found = tagging.label(model, params, [*ROWS, CODER.encode([])])
    assert found[-1][0].shape == (0,)
    for labels, _ in found:
        names = ["O", *CODER.names(labels)]
        for before, name in itertools.pairwise(names):
            assert not name.startswith("I-") or before[2:] == name[2:]


@pytest.mark.slow
def test_noise_needs_a_key_and_hides_rare_words_alone():
    model, params = made(dropout=0.0, unknown=0.9)
    module, padded = model.bind(params), batch([0, 1, 2], max(LENGTHS))
    words = padded.values
    scores = lambda key: module.scores(words, padded.lengths.words, key)  # noqa: E731
    np.testing.assert_array_equal(scores(None), scores(None))
    module.rare = CODER.words.size  # no word is rare
    np.testing.assert_array_equal(scores(jax.random.key(0)), scores(None))
    module.rare = 4  # each word is
    hidden = scores(jax.random.key(0))
    assert np.any(hidden != scores(None))
    assert np.any(hidden != scores(jax.random.key(1)))


@pytest.mark.parametrize("characters", ["lstm", "cnn", "none"])
def test_what_reads_the_characters_is_what_is_asked_for(characters):
    model = tagging.tagger(dataclasses.replace(NETWORK, characters=characters), CODER)
    params = jax.eval_shape(model.init, jax.random.key(0))
    features = 6 + (0 if characters == "none" else 4)
    (layer,) = [layer for layer in params["read"]["weights"].values() if layer]
    assert layer["forward"]["wx"].shape[0] == features
    assert ("spell" in params) == (characters != "none")


def test_given_vectors_may_be_frozen():
    vectors = np.ones((CODER.words.size, 6))
    network = dataclasses.replace(NETWORK, train_vectors=False)
    params = tagging.tagger(network, CODER, vectors).init(jax.random.key(0))
    np.testing.assert_array_equal(params["embed"]["frozen"][1:], vectors[1:])
    assert params["embed"]["frozen"].dtype == jnp.float32


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"characters": "rnn"}, "characters=rnn: must be cnn or lstm or none"),
        ({"unknown": 1.0}, r"unknown=1.0: must be a probability in \[0, 1\)"),
        ({"embedding": 0}, "embedding=0: must be at least 1"),
        ({"compute": "bfloat16"}, "compute=bfloat16: must be float32"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(NETWORK, **changes)
