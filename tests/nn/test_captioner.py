"""What the decoder of captions gets of an image, by each way, against the equations in NumPy."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.cells import GRU, Elman
from rnnlab.nn import Functional
from rnnlab.nn.captioner import Captioner
from tests import quick

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 1, (2, 6, 5, 2))
TARGETS = RNG.integers(4, 8, (2, 3))
WAYS = ("none", "state", "first", "input", "output", "attention")


@cache
def given(hand_over, feeding="none", cell=Elman):
    model = Functional(
        lambda rngs: Captioner(
            (6, 5, 2),
            8,
            channels=(3,),
            size=3,
            pooled=1,
            features=4,
            decoder=cell(5),
            embedding=3,
            readout=4,
            hand_over=hand_over,
            feeding=feeding,
            param_dtype=jnp.float64,
            rngs=rngs,
        )
    )
    return model, jax.tree.map(lambda a: 2 * a + 0.01, model.init(jax.random.key(0)))


@cache
def program(hand_over, feeding="none", cell=Elman):
    model, params = given(hand_over, feeding, cell)

    def run(images, targets):
        module = model.bind(params)
        return module.logits(module.encode(images), targets)

    return quick.jit(run)


def affine(params, x):
    return x @ np.asarray(params["kernel"]) + np.asarray(params["bias"])


@pytest.mark.parametrize(
    "way",
    [w if w == "attention" else pytest.param(w, marks=pytest.mark.slow) for w in WAYS],
)
def test_each_way_by_its_equations(way):
    """An Elman network step by step; the features of the convolutions are taken as they are."""
    model, params = given(way)
    decoded = program(way)(IMAGES, TARGETS)
    p = jax.tree.map(np.asarray, params)
    weights = {name: np.asarray(a) for name, a in p["decoder"]["weights"].items()}

    def step(x, h):
        return np.tanh(x @ weights["wx"] + h @ weights["wh"] + weights["b"])

    if way != "none":
        found = np.asarray(model.bind(params).convolutions(jnp.asarray(IMAGES)))
        assert found.shape == (2, 3, 2, 3)
    for row in range(2):
        h, context = np.zeros(5), np.zeros(0)
        if way == "attention":
            spots = np.maximum(affine(p["of_place"], found[row].reshape(6, 3)) + p["where"], 0)
            h = np.tanh(affine(p["starts"][0], spots.mean(axis=0)))
        elif way != "none":
            v = np.maximum(affine(p["of_image"], found[row].reshape(-1)), 0)
            if way == "state":
                h = np.tanh(affine(p["starts"][0], v))
            elif way == "first":
                h = step(affine(p["to_first"], v), h)
            else:
                context = np.tanh(affine(p["to_context"], v))
        for place, code in enumerate(TARGETS[row]):
            x = p["target"]["table"][code]
            h = step(np.concatenate([x, context]) if way == "input" else x, h)
            y = np.concatenate([h, context]) if way == "output" else h
            if way == "attention":
                a = p["attention"]
                sums = np.tanh(h @ a["of_query"]["kernel"] + affine(a["of_memory"], spots))
                scores = np.exp(sums @ a["score"]["kernel"][:, 0])
                np.testing.assert_allclose(decoded.weights[row, place], scores / scores.sum())
                y = np.concatenate([h, scores / scores.sum() @ spots])
            readout = np.tanh(affine(p["readout"], y))
            np.testing.assert_allclose(decoded.logits[row, place], affine(p["output"], readout))


@pytest.mark.slow
@pytest.mark.parametrize("feeding", ["none", "readout", "context"])
@pytest.mark.parametrize("way", WAYS)
def test_step_gives_what_the_whole_sentence_gives(way, feeding):
    feeding = feeding if way == "attention" else "none"
    model, params = given(way, feeding, GRU)
    decoded = program(way, feeding, GRU)(IMAGES, TARGETS)
    module = model.bind(params)
    memory = module.encode(jnp.asarray(IMAGES))
    state = module.begin(memory)
    for place in range(3):
        state, logits = module.step(memory, state, jnp.asarray(TARGETS[:, place]))
        np.testing.assert_allclose(logits, decoded.logits[:, place], atol=1e-12)


def test_only_none_does_not_see_the_image():
    for way in ("none", "first"):
        run = program(way)
        same = np.allclose(run(IMAGES, TARGETS).logits, run(IMAGES[::-1], TARGETS).logits)
        assert same == (way == "none")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_no_images_at_all(way):
    decoded = program(way)(IMAGES[:0], TARGETS[:0])
    assert decoded.logits.shape == (0, 3, 8)
