"""The transformer as a language model: windows and streams agree, texts have no end, sizes fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.errors import UsageError
from rnnlab.nn.decoding import Choice
from rnnlab.training import generation
from rnnlab.training.language import TextLoss
from rnnlab.training.sizing import count_parameters
from rnnlab.training.transformer import TransformerModel
from rnnlab.training.transformer_settings import TransformerNetwork
from tests import quick

NETWORK = TransformerNetwork(features=8, heads=2, layers=1, widening=2, span=4)
MODEL = NETWORK.model(5)
CODES = np.random.default_rng(0).integers(0, 5, 23).astype(np.int32)


@pytest.fixture(scope="module")
def params():
    drawn = quick.jit(MODEL.init)(jax.random.key(0))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: a + rng.normal(size=a.shape).astype(a.dtype) / 4, drawn)


def test_a_text_in_windows_has_the_loss_of_the_whole(params):
    """Windows of a row continue, and what fills the last one up counts nothing."""
    logits = quick.jit(lambda params: MODEL.run(params, CODES[:-1, None], None)[1])(params)[:, 0]
    wanted = -np.mean(np.asarray(jax.nn.log_softmax(logits))[np.arange(22), CODES[1:]])
    assert TextLoss(MODEL, CODES, batch=1, steps=7)(params) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.slow
def test_what_is_streamed_is_what_is_drawn_at_once(params):
    """Longer than the span, by which no text is limited."""
    key, prompt = jax.random.key(3), CODES[:3]
    drawn = quick.jit(
        lambda params: generation.sample(MODEL, params, prompt, key, batch=1, count=12)
    )(params)
    streamed = generation.stream(MODEL, params, prompt, key, Choice())
    assert [next(streamed) for _ in range(12)] == drawn[:, 0].tolist()


def test_models_of_the_same_settings_share_their_programs():
    assert NETWORK.model(5) == MODEL and hash(MODEL) == hash(NETWORK.model(5))
    assert NETWORK.model(6) != MODEL


@pytest.mark.slow
def test_the_cache_is_of_the_type_of_the_parameters():
    params = quick.jit(lambda key: MODEL.init(key, jnp.float64))(jax.random.key(0))
    state, logits = MODEL.step(params, np.zeros(2, np.int32), MODEL.initial_state(2, jnp.float64))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state)} == {"float64", "int32"}
    assert logits.dtype == jnp.float64 and logits.shape == (2, 5)


def test_parameters_are_counted_as_the_equations_have_them():
    e, inner, v = 8, 16, 5
    layer = 4 * e * e + 4 * e + 2 * e * inner + inner + e + 4 * e
    assert count_parameters(MODEL.init) == v * e + layer + 2 * e + e * v + v


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": 10}, r"^features=10: heads=2 must divide it into even parts; 8 would do$"),
        ({"features": -4}, r"^features=-4: must be at least 0"),
        ({"heads": 0}, r"^heads=0: must be at least 1"),
        ({"span": 0}, r"^span=0: must be at least 1"),
        ({"layers": 0}, r"^layers=0: must be at least 1"),
        ({"widening": 0}, r"^widening=0: must be at least 1"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(UsageError, match=message):
        TransformerNetwork(**({"features": 8, "heads": 2} | changes))


def test_a_model_needs_its_features():
    with pytest.raises(UsageError, match=r"^features=0: a model needs their number"):
        TransformerModel(TransformerNetwork(), 5)
