"""A network that names the class of a text: against NumPy, and by the sequence contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.nn import Functional
from rnnlab.nn.text_classifier import TextClassifier
from rnnlab.training.classifier_settings import POOLINGS, ClassifierNetwork
from tests import quick

WORDS, CLASSES = 11, 3


def model_of(**changes):
    settings = {"cell": "gru", "hidden": 5, "embedding": 4, "strategy": "autodiff"}
    return ClassifierNetwork(**(settings | changes)).classifier(WORDS, CLASSES)


def texts(count=6, steps=7, seed=0):
    random = np.random.default_rng(seed)
    lengths = random.integers(0, steps + 1, count).astype(np.int32)
    lengths[:2] = 0, steps
    codes = random.integers(1, WORDS, (count, steps)).astype(np.int32)
    return np.where(np.arange(steps) < lengths[:, None], codes, 0), lengths


def logits(model, params, codes, lengths):
    return quick.jit(lambda p: model.bind(p)(codes, lengths))(params)


# --- values ---


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gru(p, xs):
    h, rows, count = np.zeros(5), [], 5
    for x in xs:
        u, v = x @ p["wx"] + p["b"], h @ p["wh"]
        r, z = sigmoid(u + v)[:count], sigmoid(u + v)[count : 2 * count]
        n = np.tanh(u[2 * count :] + r * (v[2 * count :] + p["bh"]))
        h = (1 - z) * n + z * h
        rows.append(h)
    return np.array(rows)


def pooled(pooling, p, ahead, back):
    ys = np.concatenate([ahead, back], axis=1)
    if pooling == "last":
        return np.concatenate([ahead[-1], back[0]])
    if pooling == "attention":
        hidden = np.tanh(ys @ p["attend"]["hidden"]["kernel"] + p["attend"]["hidden"]["bias"])
        scores = np.exp(hidden @ p["attend"]["score"]["kernel"][:, 0])
        return scores / scores.sum() @ ys
    return {"mean": ys.mean(axis=0), "max": ys.max(axis=0)}[pooling]


@pytest.mark.parametrize(
    ("pooling", "inputs"),
    [
        ("last", "learned"),
        *(pytest.param(pooling, "one_hot", marks=pytest.mark.slow) for pooling in POOLINGS),
        *(pytest.param(pooling, "learned", marks=pytest.mark.slow) for pooling in POOLINGS[1:]),
    ],
)
def test_it_is_the_equation(pooling, inputs):
    """Both directions of a GRU, pooling and readout once more, text by text in float64."""
    model = model_of(pooling=pooling, inputs=inputs)
    params = jax.tree.map(lambda a: 2 * a + 0.1, model.init(jax.random.key(1)))
    codes, lengths = texts()
    found = logits(model, params, codes, lengths)
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    table = p["embed"]["table"] if inputs == "learned" else np.eye(WORDS)
    (cells,) = p["read"]["weights"].values()
    for row, length in enumerate(lengths):
        vector = np.zeros(10)
        if length:
            xs = table[codes[row, :length]]
            back = gru(cells["backward"], xs[::-1])[::-1]
            vector = pooled(pooling, p, gru(cells["forward"], xs), back)
        expected = vector @ p["judge"]["kernel"] + p["judge"]["bias"]
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "pooling", ["attention", *(pytest.param(p, marks=pytest.mark.slow) for p in POOLINGS[:3])]
)
def test_a_text_alone_is_as_in_a_batch_and_padding_does_not_matter(pooling):
    """In values and gradients."""
    model = model_of(pooling=pooling)
    params = model.init(jax.random.key(0))
    codes, lengths = texts()
    padded = np.pad(codes, ((0, 0), (0, 3)))
    padded = np.where(np.arange(10) < lengths[:, None], padded, 5)

    @quick.jit
    def value(params, codes, lengths):
        return jax.value_and_grad(lambda p: (model.bind(p)(codes, lengths) ** 2).sum())(params)

    whole = value(params, codes, lengths)
    alone = [value(params, codes[n : n + 1], lengths[n : n + 1]) for n in range(len(codes))]
    summed = jax.tree.map(lambda *leaves: sum(leaves), *alone)
    for other in (summed, value(params, padded, lengths)):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), other, whole
        )
    assert not np.any(whole[1]["embed"]["table"][0])  # nor does padding learn


@pytest.mark.slow
def test_attention_is_where_words_are():
    model = model_of(pooling="attention")
    codes, lengths = texts()
    weights = model.bind(model.init(jax.random.key(0))).attention(codes, lengths)
    assert weights is not None
    np.testing.assert_allclose(weights.sum(axis=1), lengths > 0, rtol=1e-5)
    assert not np.any(np.where(np.arange(7) < lengths[:, None], 0, weights))
    other = model_of(pooling="max")
    assert other.bind(other.init(jax.random.key(0))).attention(codes, lengths) is None


@pytest.mark.slow
def test_noise_needs_a_key():
    model = model_of(dropout=0.5, word_dropout=0.5)
    module = model.bind(model.init(jax.random.key(0)))
    codes, lengths = texts()
    plain = module(codes, lengths)
    assert np.array_equal(plain, module(codes, lengths, key=None))
    first, second = (module(codes, lengths, key=jax.random.key(n)) for n in (0, 1))
    assert np.array_equal(first, module(codes, lengths, key=jax.random.key(0)))
    assert not np.allclose(first, second) and not np.allclose(first, plain)


@pytest.mark.slow
def test_words_that_are_dropped_are_read_as_unknown():
    model = Functional(
        lambda rngs: TextClassifier(
            ClassifierNetwork(hidden=3).stack(),
            WORDS,
            CLASSES,
            embedding=4,
            word_dropout=1 - 1e-7,
            rngs=rngs,
        )
    )
    module = model.bind(model.init(jax.random.key(0)))
    codes, lengths = texts()
    unknown = np.where(codes > 0, 1, 0)
    expected = module(unknown, lengths)
    np.testing.assert_allclose(module(codes, lengths, key=jax.random.key(0)), expected, rtol=1e-5)


@pytest.mark.slow
def test_pretrained_vectors_are_kept_or_learn():
    vectors = np.random.default_rng(0).normal(size=(WORDS, 4)).astype(np.float32)
    for train, name in ((True, "table"), (False, "frozen")):
        network = ClassifierNetwork(
            hidden=3, inputs="pretrained", embedding=4, train_vectors=train, strategy="autodiff"
        )
        params = network.classifier(WORDS, CLASSES, vectors).init(jax.random.key(0))
        assert np.array_equal(params["embed"][name][1:], vectors[1:])
        shapes = jax.eval_shape(network.classifier(WORDS, CLASSES).init, jax.random.key(0))
        assert jax.tree.structure(shapes) == jax.tree.structure(params)


@pytest.mark.slow
def test_other_types():
    model = Functional(
        lambda rngs: TextClassifier(
            ClassifierNetwork(hidden=3).stack(),
            9,
            2,
            embedding=0,
            param_dtype=jnp.float64,
            rngs=rngs,
        )
    )
    params = model.init(jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float64")}
    assert logits(model, params, *texts()).dtype == jnp.float64
