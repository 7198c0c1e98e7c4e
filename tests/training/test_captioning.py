"""The loss of captions, the doubly stochastic regulariser, attention in squares, batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.data.captions import coded_batch
from rnnlab.training import captioning
from rnnlab.training.captioner_settings import CaptionerNetwork
from rnnlab.training.captioning import (
    CaptionLoss,
    attention_of,
    doubly_stochastic,
    losses,
    mass_in_squares,
    write_captions,
)

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 9, 8, 1), np.uint8)
CODES = [RNG.integers(4, 9, length).astype(np.int32) for length in (3, 1, 4, 0, 2)]


def test_the_regulariser_and_its_gradient():
    """`Σ_s (1 - Σ_t α_ts)²` has the derivative `-2 (1 - Σ_t α_ts)` by every α_ts."""
    weights = RNG.uniform(0, 1, (2, 3, 5))
    want = [sum((1 - one[:, s].sum()) ** 2 for s in range(5)) for one in weights]
    np.testing.assert_allclose(doubly_stochastic(jnp.asarray(weights)), want)
    found = jax.grad(lambda a: doubly_stochastic(a).sum())(jnp.asarray(weights))
    by_hand = np.broadcast_to(-2 * (1 - weights.sum(1, keepdims=True)), weights.shape)
    np.testing.assert_allclose(found, by_hand)
    even = jnp.full((1, 4, 4), 0.25)
    assert float(doubly_stochastic(even)[0]) == 0


def test_attention_in_squares_by_pixels():
    """Each place's weight stands in the pixel of its middle; the square is summed."""
    weights = RNG.uniform(0, 1, (3, 4, 6))
    corners = np.array([(0, 0), (5, 11), (12, 20)])
    want = []
    for one, (top, left) in zip(weights, corners, strict=True):
        room = np.zeros((16, 24))
        for row, column in np.ndindex(4, 6):
            room[row * 4 + 2, column * 4 + 2] = one[row, column]
        want.append(room[top : top + 9, left : left + 9].sum())
    np.testing.assert_allclose(mass_in_squares(weights, (16, 24), corners, 9), want)


def given(hand_over="attention", **settings):
    network = CaptionerNetwork(
        channels=(3, 4),
        pooled=1,
        features=5,
        hidden=6,
        embedding=4,
        readout=5,
        hand_over=hand_over,
        strategy="autodiff",
        **settings,
    )
    model = network.model((9, 8, 1), 9)
    return model, jax.tree.map(lambda a: 2 * a, model.init(jax.random.key(1)))


@pytest.mark.slow
@pytest.mark.parametrize("hand_over", ["attention", "output"])
def test_losses_captions_and_attention_do_not_depend_on_the_batch(hand_over, monkeypatch):
    model, params = given(hand_over)
    nats, symbols, weights = losses(model, params, coded_batch(PIXELS, CODES))
    assert symbols.tolist() == [len(one) + 1 for one in CODES]
    together = write_captions(model, params, PIXELS, 6, beams=2)
    looked = attention_of(model, params, PIXELS, CODES)
    assert (weights is None) == (looked is None) == (hand_over == "output")
    for row, one in enumerate(CODES):
        alone = slice(row, row + 1)
        found = losses(model, params, coded_batch(PIXELS[alone], CODES[alone]))
        np.testing.assert_allclose(found[0][0], nats[row], rtol=1e-5)
        if looked is not None:
            assert looked[row].shape == (len(one) + 1, 4, 4)
            np.testing.assert_allclose(looked[row].sum(axis=(1, 2)), 1, rtol=1e-5)
            assert not np.asarray(weights)[row, len(one) + 1 :].any()
    whole = CaptionLoss(model, PIXELS, CODES)(params, 0)["loss"]
    assert whole == pytest.approx(float(nats.sum()) / int(symbols.sum()), rel=1e-5)
    monkeypatch.setattr(captioning, "READ", 2)
    for one, other in zip(together, write_captions(model, params, PIXELS, 6, beams=2), strict=True):
        np.testing.assert_array_equal(one.codes, other.codes)
        assert one.score == pytest.approx(other.score, rel=1e-5)
    assert CaptionLoss(model, PIXELS, CODES)(params, 0)["loss"] == pytest.approx(whole, rel=1e-5)


@pytest.mark.slow
def test_greedy_is_beam_search_with_one_beam():
    from functools import partial

    from rnnlab.data.tokens import END_CODE, START_CODE
    from rnnlab.nn.decoding import greedy

    model, params = given()
    module = model.bind(params)
    memory = module.encode(captioning.as_numbers(PIXELS))
    limits = jnp.full(5, 6, jnp.int32)
    step = partial(module.step, memory)
    want = greedy(step, module.begin(memory), limits, 6, start=START_CODE, end=END_CODE)
    for row, one in enumerate(write_captions(model, params, PIXELS, 6)):
        np.testing.assert_array_equal(one.codes, want.symbols[row, : want.lengths[row]])
        assert one.log_probability == pytest.approx(float(want.log_probability[row]), rel=1e-4)
